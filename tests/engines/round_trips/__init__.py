"""Programs that run in an engine's environment: bars into the engine, and back.

The module of an engine has its name and one function, `bars_back(bars, folder)`. It converts the bars,
gives them to the engine, and returns a frame of what the engine holds: the engine's times as the
index, the columns `open high low close volume` as far as the engine has them, and in `attrs` each
fact of the loader that the engine's objects still hold. `folder` is empty, for engines that read files.

A module can have `refusals(bars, folder)` too: conversions of the bars of days that are refused, by
words in the text of the error. `folder` has a folder of each case.
"""
