// OpenAITestSupport.swift -- requests, answers and their JSON in the words of a test.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseLoading
import XverseRuntime

@testable import XverseOpenAI

/// Reads a request.
func request(_ json: String) throws -> CompletionRequest { try request(Array(json.utf8)) }

func request(_ bytes: [UInt8]) throws -> CompletionRequest {
  try bytes.withUnsafeBytes { try CompletionRequest($0, allocator: .system) }
}

/// A chat request with one message and more fields.
func chat(_ fields: String = "") -> String {
  #"{"messages": [{"role": "user", "content": "Hi"}]\#(fields.isEmpty ? "" : ", " + fields)}"#
}

/// A completions request with a prompt and more fields.
func completion(_ fields: String = "", prompt: String = #""the an in on""#) -> String {
  #"{"prompt": \#(prompt)\#(fields.isEmpty ? "" : ", " + fields)}"#
}

/// Expects a request to be refused with a status, naming a field.
func expectRefused(
  _ json: String, _ code: XverseError.Code, field: String?,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  do {
    _ = try request(json)
    Issue.record("accepted: \(json.prefix(200))", sourceLocation: sourceLocation)
  } catch let error as XverseError {
    #expect(error.code == code, "\(error.message)", sourceLocation: sourceLocation)
    #expect(error.field == field, "\(error.message)", sourceLocation: sourceLocation)
    if let field { #expect(error.message.contains(field), "\(error.message)", sourceLocation: sourceLocation) }
  } catch {
    Issue.record("\(error)", sourceLocation: sourceLocation)
  }
}

// MARK: JSON

/// A JSON text read by the library's own parser.
func parse(_ bytes: [UInt8]) throws -> JSONValue {
  let memory = TextMemory(bytes)
  return try JSONDocument(memory.bytes, owner: memory, source: "output").root
}

/// Keeps a text in place.
private final class TextMemory {
  let bytes: UnsafeRawBufferPointer
  init(_ text: [UInt8]) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
    copy.copyBytes(from: text)
    bytes = UnsafeRawBufferPointer(copy)
  }
  deinit { bytes.deallocate() }
}

extension JSONValue {
  subscript(_ index: Int) -> JSONValue? { elements.dropFirst(index).first { _ in true } }

  var strings: [String] { elements.map { $0.string ?? "no string" } }
  var numbers: [Double] { elements.map { $0.double ?? .nan } }
  var keys: [String] { members.map { $0.key.text } }
}

func errorObject(_ error: XverseError) throws -> JSONValue {
  var output = Buffer<UInt8>()
  try error.appendCompletionError(to: &output)
  return try parse(Array(output.elements))
}

// MARK: answers

/// What a session answered.
struct Completion {
  let response: JSONValue
  let chunks: [JSONValue]
  let wasStopped: Bool

  var choices: [JSONValue] { response["choices"].map { Array($0.elements) } ?? [] }
  /// The text of an answer, in both kinds of response.
  func text(_ index: Int = 0) -> String? {
    let choice = choices.dropFirst(index).first
    return choice?["message"]?["content"]?.string ?? choice?["text"]?.string
  }
  /// The choices of the chunks of one answer.
  func streamed(_ index: Int = 0) -> [JSONValue] {
    chunks.compactMap { $0["choices"]?[0] }.filter { $0["index"]?.int == index }
  }
  func streamedText(_ index: Int = 0) -> String {
    streamed(index).map { $0["delta"]?["content"]?.string ?? $0["text"]?.string ?? "" }.joined()
  }
}

/// A session of a tiny model.
func tinySession(context: Int? = nil, _ change: (inout TinyCheckpoint) -> Void = { _ in }) throws -> Session {
  let runtime = try Runtime(threadCount: 1)
  return try Session(loadTiny(runtime.context(), change), runtime, context: context)
}

extension Session {
  /// - Parameter stoppingAfter: The number of the chunk or event that asks to stop.
  func complete(_ json: String, stoppingAfter last: Int = .max, cancellation: Cancellation? = nil) throws -> Completion
  {
    let request = try request(json)
    let log = ChunkLog(last)
    var response = Buffer<UInt8>()
    let wasStopped = try complete(
      request, fingerprint: "xverse-test", cancellation: cancellation,
      onEvent: { $0.kind == .prefill ? true : log.count() },
      onChunk: request.isStreaming ? { log.hear($0) } : nil, into: &response)
    return Completion(
      response: try parse(Array(response.elements)), chunks: try log.chunks.map { try parse($0) },
      wasStopped: wasStopped)
  }
}

private final class ChunkLog {
  private(set) var chunks: [[UInt8]] = []
  private var heard = 0
  private let last: Int

  init(_ last: Int) { self.last = last }

  func count() -> Bool {
    heard += 1
    return heard < last
  }

  func hear(_ chunk: UnsafeBufferPointer<UInt8>) -> Bool {
    #expect(chunk.baseAddress?[chunk.count] == 0)
    chunks.append(Array(chunk))
    return count()
  }
}
