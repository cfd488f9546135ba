"""How strange an input looks: one score a file, shared by the guard and the measures."""
