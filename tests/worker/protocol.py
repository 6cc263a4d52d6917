"""The messages between the Functions host and a worker, as real protobuf messages.

They are a part of the public protocol (`FunctionRpc.proto` of the language workers): the messages to index and invoke
functions, with their names, numbers and types. The classes are built at run time, so that no compiler is needed.
"""

from types import SimpleNamespace

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "AzureFunctionsRpcMessages"

# name of a field: number and type; `*T` is a list, `{}T` a map with text keys, `?T` one of the message's alternatives
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "StreamingMessage": {
        "request_id": (1, "string"),
        "invocation_request": (4, "?InvocationRequest"),
        "function_load_request": (8, "?FunctionLoadRequest"),
        "worker_init_request": (17, "?WorkerInitRequest"),
        "functions_metadata_request": (29, "?FunctionsMetadataRequest"),
    },
    "WorkerInitRequest": {
        "host_version": (1, "string"),
        "capabilities": (2, "{}string"),
        "worker_directory": (4, "string"),
        "function_app_directory": (5, "string"),
    },
    "WorkerInitResponse": {
        "worker_version": (1, "string"),
        "capabilities": (2, "{}string"),
        "result": (3, "StatusResult"),
        "worker_metadata": (4, "WorkerMetadata"),
    },
    "WorkerMetadata": {
        "runtime_name": (1, "string"),
        "runtime_version": (2, "string"),
        "worker_version": (3, "string"),
        "worker_bitness": (4, "string"),
        "custom_properties": (5, "{}string"),
    },
    "StatusResult": {"result": (1, "string"), "exception": (2, "RpcException"), "status": (4, "StatusResult.Status")},
    "RpcException": {"source": (1, "string"), "stack_trace": (2, "string"), "message": (3, "string")},
    "FunctionsMetadataRequest": {"function_app_directory": (1, "string")},
    "FunctionMetadataResponse": {
        "function_metadata_results": (1, "*RpcFunctionMetadata"),
        "result": (2, "StatusResult"),
        "use_default_metadata_indexing": (3, "bool"),
    },
    "RpcFunctionMetadata": {
        "directory": (1, "string"),
        "script_file": (2, "string"),
        "entry_point": (3, "string"),
        "name": (4, "string"),
        "bindings": (6, "{}BindingInfo"),
        "is_proxy": (7, "bool"),
        "language": (9, "string"),
        "raw_bindings": (10, "*string"),
        "function_id": (13, "string"),
        "managed_dependency_enabled": (14, "bool"),
        "retry_options": (15, "RpcRetryOptions"),
        "properties": (16, "{}string"),
    },
    "RpcRetryOptions": {"max_retry_count": (2, "int32")},
    "BindingInfo": {
        "type": (2, "string"),
        "direction": (3, "BindingInfo.Direction"),
        "data_type": (4, "BindingInfo.DataType"),
    },
    "FunctionLoadRequest": {"function_id": (1, "string"), "metadata": (2, "RpcFunctionMetadata")},
    "FunctionLoadResponse": {"function_id": (1, "string"), "result": (2, "StatusResult")},
    "InvocationRequest": {
        "invocation_id": (1, "string"),
        "function_id": (2, "string"),
        "input_data": (3, "*ParameterBinding"),
        "trigger_metadata": (4, "{}TypedData"),
        "trace_context": (5, "RpcTraceContext"),
        "retry_context": (6, "RetryContext"),
    },
    "InvocationResponse": {
        "invocation_id": (1, "string"),
        "output_data": (2, "*ParameterBinding"),
        "result": (3, "StatusResult"),
        "return_value": (4, "TypedData"),
    },
    "RpcTraceContext": {"trace_parent": (1, "string"), "trace_state": (2, "string"), "attributes": (3, "{}string")},
    "RetryContext": {"retry_count": (1, "int32"), "max_retry_count": (2, "int32"), "exception": (3, "RpcException")},
    "ParameterBinding": {"name": (1, "string"), "data": (2, "?TypedData")},
    "TypedData": {
        "string": (1, "?string"),
        "json": (2, "?string"),
        "bytes": (3, "?bytes"),
        "http": (5, "?RpcHttp"),
        "int": (6, "?sint64"),
        "double": (7, "?double"),
    },
    "RpcHttp": {
        "method": (1, "string"),
        "url": (2, "string"),
        "headers": (3, "{}string"),
        "body": (4, "TypedData"),
        "params": (10, "{}string"),
        "status_code": (12, "string"),
        "query": (15, "{}string"),
        "enable_content_negotiation": (16, "bool"),
        "cookies": (19, "*RpcHttpCookie"),
    },
    "RpcHttpCookie": {"name": (1, "string"), "value": (2, "string")},
}
ENUMS = {
    "StatusResult.Status": ("Failure", "Success", "Cancelled"),
    "BindingInfo.Direction": ("in", "out", "inout"),
    "BindingInfo.DataType": ("undefined", "string", "binary", "stream"),
}
ALTERNATIVES = {"StreamingMessage": "content", "ParameterBinding": "rpc_data", "TypedData": "data"}

_FIELD = descriptor_pb2.FieldDescriptorProto


def messages() -> SimpleNamespace:
    """The message classes by name, in the form that the worker library expects."""
    file = descriptor_pb2.FileDescriptorProto(name="functions.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for enum, values in ENUMS.items():
            if enum.startswith(f"{name}."):
                described = message.enum_type.add(name=enum.partition(".")[2])
                for number, value in enumerate(values):
                    described.value.add(name=value, number=number)
        if name in ALTERNATIVES:
            message.oneof_decl.add(name=ALTERNATIVES[name])
        for field, (number, kind) in fields.items():
            _add(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in MESSAGES}
    return SimpleNamespace(**{name: message_factory.GetMessageClass(found[name]) for name in MESSAGES})


def _add(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("{}"):
        entry = message.nested_type.add(name="".join(word.capitalize() for word in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add(entry, "key", 1, "string")
        _add(entry, "value", 2, kind[2:])
        field.label, field.type = _FIELD.LABEL_REPEATED, _FIELD.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{message.name}.{entry.name}"
        return
    if kind.startswith("*"):
        field.label = _FIELD.LABEL_REPEATED
    if kind.startswith("?"):
        field.oneof_index = 0
    kind = kind.lstrip("*?")
    if kind in MESSAGES:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    elif kind in ENUMS:
        field.type, field.type_name = _FIELD.TYPE_ENUM, f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(_FIELD, f"TYPE_{kind.upper()}")
