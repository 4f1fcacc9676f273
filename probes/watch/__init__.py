"""Who hears whom: signed rows that the sites send each other, and what is judged from them."""
