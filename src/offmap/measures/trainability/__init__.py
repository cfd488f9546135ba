"""How easily does training find it?"""
