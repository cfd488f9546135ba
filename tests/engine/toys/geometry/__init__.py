"""Where does the data lie, and is this input inside it?"""
