"""How fast do the target and the network change?"""
