"""Features of daily bars in qlib."""

import qlib
from qlib.data import D

from tvdatasets import load, write_qlib

bars = load("NASDAQ:AAPL", "1D")
folder = write_qlib({"AAPL": bars}, "qlib_data")

qlib.init(provider_uri=str(folder), kernels=1)
momentum = D.features(["AAPL"], ["Mean($close, 10) / Mean($close, 30) - 1"])
print(f"{len(bars)} bars, {len(D.calendar())} days, {momentum.iloc[-1, 0]:.4f}")
