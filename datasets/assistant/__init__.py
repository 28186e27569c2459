"""The server for assistants: the bars of a service as tools and resources of the Model Context Protocol.

The package imports neither Django nor a database; it reads the service's API. It needs the package
`mcp`, so nothing is imported here: `assistant_server.serve` starts it. docs/assistants.md describes it.
"""
