"""What do its layers do to the data?"""
