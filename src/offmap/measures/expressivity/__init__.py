"""What could this network compute?"""
