"""What did it store rather than learn?"""
