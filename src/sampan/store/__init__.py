"""Where does the state live?  Behind one small interface; by default in one SQLite file.

Read in this order: ``base`` (the contract), ``mirror`` (the live state in memory, sorted), ``watch`` (the hub: every
change to everyone who asked, once and in order), ``memory`` (these two alone are a whole store), then how it survives a
crash: ``sqlite`` (the event loop's side), ``writer`` (the thread that makes many writes durable with one fsync),
``revisions`` (the SQL), ``compactor`` (forgetting old history).
"""
