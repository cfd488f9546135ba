"""Does it hold far from its data?"""
