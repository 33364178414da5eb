"""laplace-torch in its own environment: answers requests on standard input, one JSON line each.

A request names padding, backend, columns ("exact" or "mc"), data, threads and clock. The answer
holds the seconds of `fit`, decompositions included, and log det(H + 1) of every parameter.
"""

import json
import sys
import time
import warnings
from typing import Any

import torch

warnings.simplefilter("ignore")

from laplace import Laplace  # noqa: E402
from laplace.curvature import AsdlGGN, CurvlinopsGGN  # noqa: E402
from network import Batches, network  # noqa: E402

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BACKENDS = {"ASDL": AsdlGGN, "curvlinops": CurvlinopsGGN}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(request["threads"])
    net, loader = network(request["padding"]).eval(), Batches(request["data"])
    stochastic = {"stochastic": request["columns"] == "mc"}
    backend = BACKENDS[request["backend"]]
    la = Laplace(net, "classification", "all", "kron", backend=backend, backend_kwargs=stochastic)
    clock = CLOCKS[request["clock"]]
    start = clock()
    la.fit(loader)
    return {"seconds": clock() - start, "logdets": logdets(la.H)}


def logdets(decomposed: Any) -> list[float]:
    found = []
    for values in decomposed.eigenvalues:
        whole = torch.outer(*values) if len(values) == 2 else values[0]
        found.append(float((whole.double().clamp_min(0.0) + 1.0).log().sum()))
    return found


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
