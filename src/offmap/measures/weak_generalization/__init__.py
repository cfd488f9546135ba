"""Does it hold near its data?"""
