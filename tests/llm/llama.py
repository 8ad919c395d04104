"""Serves the GGUF file of the first argument with llama.cpp's own server, and writes its address to the second.

For `./test.sh --llm`. It ends with its process.
"""

import sys
import time

import xllamacpp

weights, address_file = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = weights
# Smaller than the largest request: what the server refuses for its size is sent again smaller.
params.n_ctx = 4096
params.n_parallel = 1
params.hostnames = ["127.0.0.1"]
params.port = 0
params.verbosity = 0
# Two threads on two busy cores are fifteen times slower than one.
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
with open(address_file, "w") as file:
    file.write(server.listening_address)
while True:
    time.sleep(3600)
