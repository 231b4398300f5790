"""/account: a person's own account, one file per page.

`room` is what every page has in common, `way_in` signs people in through our own `/authorize`,
`pages` is the list of all of them.
"""
