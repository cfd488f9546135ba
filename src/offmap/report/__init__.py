"""What an audit found, as data; and everything that draws or writes it."""
