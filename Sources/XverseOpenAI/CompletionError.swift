// CompletionError.swift -- OpenAI's error object.

import XverseCore

extension XverseError {
  /// Appends `{"error": {"message", "type", "param", "code"}}`.
  package func appendCompletionError(to output: inout Buffer<UInt8>) throws(XverseError) {
    var json = JSONBufferWriter(allocator: output.allocator)
    try json.beginObject()
    try json.beginObject("error")
    try json.write(message, "message")
    try json.write(completionType, "type")
    if let field { try json.write(field, "param") } else { try json.writeNull("param") }
    try json.write(completionCode, "code")
    try json.endObject()
    try json.endObject()
    try output.append(contentsOf: json.text)
  }

  /// Whose fault it is.
  private var completionType: String {
    switch code {
    case .parse, .invalid, .range, .unsupported, .limit, .contextFull, .mismatch, .misuse: "invalid_request_error"
    case .queueFull: "rate_limit_error"
    case .stopped, .failed, .outOfMemory, .busy, .cancelled, .deadline, .io, .notFound, .corrupt, .unsafe, .forked,
      .callback, .internal:
      "server_error"
    }
  }

  private var completionCode: String {
    switch code {
    case .parse: "invalid_json"
    case .invalid, .range, .mismatch, .misuse: "invalid_value"
    case .unsupported: "unsupported_value"
    case .limit: "request_too_large"
    case .contextFull: "context_length_exceeded"
    case .queueFull: "queue_full"
    case .outOfMemory: "out_of_memory"
    case .busy: "busy"
    case .cancelled: "cancelled"
    case .deadline: "timeout"
    case .stopped, .failed, .io, .notFound, .corrupt, .unsafe, .forked, .callback, .internal: "internal_error"
    }
  }
}
