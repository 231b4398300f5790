"""/admin/v1: what operators' programs may do, one line of `operations` each.

`api` runs an operation: who asks, what with, from which state, once. `document` describes all of
them as OpenAPI. An operation to add is a model, a handler and a line.
"""
