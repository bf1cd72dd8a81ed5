"""A real EVM node behind JSON-RPC on loopback: py-evm, with contracts that are compiled here.

The swarm's contract is `coordinator.vy`. Multicall3 is written in the EVM's own instructions, as Vyper has no arrays
of calls of any length.
"""

import json
import subprocess
import sys
import threading
import warnings
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector, to_checksum_address

# By a process of its own: an import of vyper forbids all others to set the precision of decimals.
COMPILE = """
import sys, vyper
print(vyper.compile_code(sys.stdin.read(), output_formats=["bytecode"])["bytecode"])
"""

GAS = 15_000_000
BLOCK_GAS = 400_000_000

_OPCODES = {
    "add": 0x01,
    "sub": 0x03,
    "lt": 0x10,
    "eq": 0x14,
    "iszero": 0x15,
    "and": 0x16,
    "not": 0x19,
    "gas": 0x5A,
    "calldataload": 0x35,
    "calldatacopy": 0x37,
    "codecopy": 0x39,
    "returndatasize": 0x3D,
    "returndatacopy": 0x3E,
    "mload": 0x51,
    "mstore": 0x52,
    "jump": 0x56,
    "jumpi": 0x57,
    "call": 0xF1,
    "return": 0xF3,
    "revert": 0xFD,
    "mul": 0x02,
    "or": 0x17,
}
_JUMPDEST = b"\x5b"


def op(name: str, *arguments: "bytes | int") -> bytes:
    """An instruction behind those that push its arguments, the first one last."""
    return b"".join(map(push, reversed(arguments))) + bytes([_OPCODES[name]])


def push(value: "bytes | int") -> bytes:
    """Code as it is; a number as PUSH4, so that code has the same length whatever its addresses are."""
    return value if isinstance(value, bytes) else b"\x63" + value.to_bytes(4)


def compile_multicall() -> bytes:
    """Code that makes the contract: aggregate3((address,bool,bytes)[]) returns ((bool,bytes)[])."""
    # Where it keeps its variables, and from where on it writes its answer.
    count, index, end, heads, item, data, answer = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0, 0x200
    word = 32

    def get(variable: int) -> bytes:
        return op("mload", variable)

    def put(variable: int, value: "bytes | int") -> bytes:
        return op("mstore", variable, value)

    size = op("calldataload", get(data))
    succeeded = op(
        "call", op("gas"), op("calldataload", get(item)), 0, get(end), size, 0, 0
    )  # to the target, without ether
    begin = b"".join(
        [
            put(heads, op("add", 4 + word, op("calldataload", 4))),
            put(count, op("calldataload", op("sub", get(heads), word))),
            put(index, 0),
            op("mstore", answer, word),
            op("mstore", answer + word, get(count)),
            put(end, op("add", answer + 2 * word, op("mul", word, get(count)))),
        ]
    )
    body = b"".join(
        [
            put(item, op("add", get(heads), op("calldataload", op("add", get(heads), op("mul", word, get(index)))))),
            put(data, op("add", get(item), op("calldataload", op("add", get(item), 2 * word)))),
            op("calldatacopy", get(end), op("add", get(data), word), size),
            # The item's place counts from behind the array's length.
            op("mstore", op("add", answer + 2 * word, op("mul", word, get(index))), op("sub", get(end), answer + 64)),
            put(0xC0, succeeded),
            op("mstore", get(end), get(0xC0)),
            op("mstore", op("add", get(end), word), 2 * word),
            op("mstore", op("add", get(end), 2 * word), op("returndatasize")),
            op("returndatacopy", op("add", get(end), 3 * word), 0, op("returndatasize")),
            op("mstore", op("add", get(end), op("add", 3 * word, op("returndatasize"))), 0),
            put(index, op("add", get(index), 1)),
            put(
                end,
                op(
                    "add",
                    op("add", get(end), 3 * word),
                    op("and", op("not", 31), op("add", op("returndatasize"), 31)),
                ),
            ),
        ]
    )
    finish = op("return", answer, op("sub", get(end), answer))
    # A call that fails and may not: the whole reverts.
    allowed = op("or", get(0xC0), op("calldataload", op("add", get(item), word)))
    loop_at = len(begin)
    condition = _JUMPDEST + op("jumpi", 0, op("iszero", op("lt", get(index), get(count))))
    check = op("jumpi", 0, op("iszero", allowed))
    finish_at = loop_at + len(condition) + len(body) + len(check) + len(op("jump", 0))
    revert_at = finish_at + len(_JUMPDEST + finish)
    condition = _JUMPDEST + op("jumpi", finish_at, op("iszero", op("lt", get(index), get(count))))
    check = op("jumpi", revert_at, op("iszero", allowed))
    runtime = begin + condition + body + check + op("jump", loop_at) + _JUMPDEST + finish
    runtime += _JUMPDEST + op("revert", 0, 0)
    deploy = op("codecopy", 0, len(op("codecopy", 0, 0, 0) + op("return", 0, 0)), len(runtime))
    return deploy + op("return", 0, len(runtime)) + runtime


@cache
def _load_tester() -> Any:
    """eth-tester, which takes most of a second to import: only who has a node pays for it."""
    limit = sys.getrecursionlimit()
    with warnings.catch_warnings():
        # Of packages that it imports, about others that they import.
        warnings.simplefilter("ignore")
        import eth_tester
        import eth_tester.exceptions
    # py-evm raises it for contracts that call each other 1024 deep, which lets a deeply nested JSON overflow the stack.
    sys.setrecursionlimit(limit)
    return eth_tester


class Node:
    """The chain, and what a test does on it. Each transaction is mined into a block of its own."""

    def __init__(self) -> None:
        tester = _load_tester()
        genesis = tester.PyEVMBackend.generate_genesis_params(overrides={"gas_limit": BLOCK_GAS})
        self.chain = tester.EthereumTester(tester.PyEVMBackend(genesis_parameters=genesis))
        self.accounts = self.chain.get_accounts()

    def deploy(self, code: bytes) -> str:
        """The address of a new contract."""
        receipt = self.chain.get_transaction_receipt(self._send(None, code, self.accounts[0]))
        assert receipt["status"] == 1
        return str(receipt["contract_address"])

    def send(self, contract: str, signature: str, *arguments: Any, account: str | None = None) -> None:
        """Calls a function in a transaction."""
        types = signature.partition("(")[2].rstrip(")").split(",")
        data = function_signature_to_4byte_selector(signature) + encode(types, arguments)
        receipt = self.chain.get_transaction_receipt(self._send(contract, data, account or self.accounts[0]))
        assert receipt["status"] == 1

    def _send(self, contract: str | None, data: bytes, account: str) -> str:
        transaction = {"from": account, "data": f"0x{data.hex()}", "gas": GAS, "gas_price": 10**12}
        if contract is not None:
            transaction["to"] = contract
        return str(self.chain.send_transaction(transaction))

    def mine(self, blocks: int = 1) -> None:
        self.chain.mine_blocks(blocks)

    def now(self) -> float:
        """The time of the newest block, which the tests take for the present."""
        return float(self.chain.get_block_by_number("latest")["timestamp"])


@cache
def compile_coordinator(*, without: str = "") -> bytes:
    """Code that makes the swarm's contract; `without` is a function that this release no longer has."""
    source = Path(__file__).with_name("coordinator.vy").read_text()
    if without:
        assert f"def {without}(" in source
        source = source.replace(f"def {without}(", f"def removed_{without}(")
    compiled = subprocess.run([sys.executable, "-c", COMPILE], input=source, capture_output=True, text=True, check=True)
    return bytes.fromhex(compiled.stdout.strip().removeprefix("0x"))


class RpcServer:
    """One service of the node's chain; a test makes it refuse, answer falsely or stop."""

    def __init__(self, node: Node, chain_id: int) -> None:
        self.node = node
        self.chain_id = chain_id
        self.methods: list[str] = []
        # An answer instead of the node's: status, content type and body.
        self.answer: tuple[int, str, bytes] | None = None
        self.hide_blocks = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                service.methods.append(request["method"])
                status, kind, body = service.answer or service.respond(request)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v2/api-key"

    def respond(self, request: dict[str, Any]) -> tuple[int, str, bytes]:
        try:
            body = {"result": self._result(request["method"], request["params"])}
        except _load_tester().exceptions.TransactionFailed as error:
            body = {"error": {"code": 3, "message": f"execution reverted: {error}"}}
        return 200, "application/json", json.dumps({"jsonrpc": "2.0", "id": request["id"], **body}).encode()

    def _result(self, method: str, parameters: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(self.chain_id)
        newest = self.node.chain.get_block_by_number("latest")["number"] - self.hide_blocks
        if method == "eth_getBlockByNumber":
            block = self.node.chain.get_block_by_number(newest)
            return {"number": hex(block["number"]), "timestamp": hex(block["timestamp"])}
        call, number = parameters
        transaction = {
            "from": self.node.accounts[0],
            "to": to_checksum_address(call["to"]),
            "data": call["data"],
            "gas": BLOCK_GAS // 2,
        }
        return self.node.chain.call(transaction, int(number, 16))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
