// OpenAITarget.swift -- a request of OpenAI's interface, and the answer of a tiny model to it.

import ModelTestSupport
import XverseCore
import XverseOpenAI
import XverseRuntime

extension FuzzTarget {
  /// The bytes are the request.
  static let openAI = FuzzTarget(name: "openai") {
    let runtime = try Runtime(threadCount: 1)
    let model = try loadTiny(runtime.context())
    return { bytes in
      try reading(bytes, multiple: 64, constant: 4096, allowing: [.parse]) { allocator in
        do throws(XverseError) {
          _ = try CompletionRequest(bytes, allocator: allocator)
        } catch {
          try check(error)
          throw error
        }
      }
      guard let request = try? CompletionRequest(bytes, allocator: .system), request.answerCount <= 2 else { return }
      try answer(request, Session(model, runtime, context: 24))
    }
  }

  /// Every error is an object that names the field.
  private static func check(_ error: XverseError) throws {
    var object = Buffer<UInt8>()
    try error.appendCompletionError(to: &object)
    let fields = try JSONDocument(UnsafeRawBufferPointer(object.elements), source: "the error object").root["error"]
    try require(fields?["message"]?.string == error.message, "another message: \(object.text)")
    try require(fields?["param"]?.string == error.field, "another field: \(object.text)")
    if let field = error.field { try require(error.message.contains("'\(field)'"), "'\(field)': \(error.message)") }
  }

  /// Everything that comes out is JSON.
  private static func answer(_ request: CompletionRequest, _ session: Session) throws {
    var isJSON = true
    var response = Buffer<UInt8>()
    do {
      _ = try session.complete(
        request, fingerprint: "fuzz",
        onChunk: request.isStreaming
          ? { chunk in
            isJSON = isJSON && (try? JSONDocument(UnsafeRawBufferPointer(chunk), source: "a chunk")) != nil
            return true
          } : nil, into: &response)
    } catch {
      try check(error)
      switch error.code {
      case .invalid, .range, .contextFull, .limit, .failed: return
      default: throw Violation("status \(error.code): \(error.message)")
      }
    }
    try require(isJSON, "a chunk is no JSON")
    let root = try JSONDocument(UnsafeRawBufferPointer(response.elements), source: "the response").root
    try require(root["choices"]?.elements.map { $0 }.count == request.answerCount, "answers of \(response.text)")
  }
}
