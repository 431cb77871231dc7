// CAPIFixture.swift -- what every test of the C ABI needs: a model directory, handles that are freed, statuses with
// their messages. Nothing but xverse.h is called.

import CXverse
import Foundation
import TestSupport
import Testing

/// All suites of the C ABI, one after the other: some of them look at the memory and the threads of the whole process.
@Suite("C ABI", .serialized)
struct ABI {}

/// A model directory of a test's own, to be changed at will.
final class ModelDirectory: @unchecked Sendable {
  private let directory: TemporaryDirectory

  /// The files of the default checkpoint, made once.
  private static let files: [String: [UInt8]] = {
    guard let directory = try? TemporaryDirectory(), (try? TinyCheckpoint().write(to: directory)) != nil else {
      return [:]
    }
    let names = ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"]
    return names.reduce(into: [:]) {
      $0[$1] = FileManager.default.contents(atPath: directory.path + "/" + $1).map { [UInt8]($0) }
    }
  }()

  init(_ checkpoint: TinyCheckpoint? = nil) throws {
    directory = try TemporaryDirectory()
    guard let checkpoint else {
      for (name, bytes) in Self.files { try directory.write(name, bytes) }
      return
    }
    try checkpoint.write(to: directory)
  }

  /// The default checkpoint, its weights in two shards if so wanted.
  convenience init(sharded: Bool) throws {
    try self.init()
    guard sharded else { return }
    let map = try shard(into: ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
    let index = try JSONSerialization.data(withJSONObject: ["weight_map": map])
    try write("model.safetensors.index.json", [UInt8](index))
  }

  /// Puts the weights into two files.
  ///
  /// - Returns: The file of each tensor, as an index has it.
  func shard(into files: [String]) throws -> [String: String] {
    let whole = try SafetensorsFile(bytes(of: "model.safetensors"))
    var map: [String: String] = [:]
    for (file, part) in zip(files, [whole.names.prefix(7), whole.names.dropFirst(7)]) {
      try write(file, whole.keeping(Set(part)).bytes)
      for name in part { map[name] = file }
    }
    try remove("model.safetensors")
    return map
  }

  var path: String { directory.path }

  func file(_ name: String) -> String { path + "/" + name }

  func bytes(of name: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: file(name)))) }

  func write(_ name: String, _ bytes: [UInt8]) throws { try directory.write(name, bytes) }

  func write(_ name: String, _ text: String) throws { try directory.write(name, text) }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: file(name)) }

  /// Changes members of a JSON file; NSNull stands for null and nil takes a member away.
  func edit(_ name: String, _ changes: [String: Any?]) throws {
    let parsed = try JSONSerialization.jsonObject(with: Data(bytes(of: name)))
    var object = try #require(parsed as? [String: Any])
    for (key, value) in changes { object[key] = value }
    try write(name, [UInt8](JSONSerialization.data(withJSONObject: object)))
  }
}

// MARK: statuses

/// A call that a test needs and that failed.
struct CallFailed: Error {
  let status: Int
  let message: String
}

var lastMessage: String { String(cString: xverse_last_error()) }

func check(_ status: xverse_status) throws {
  guard Int(status) == XVERSE_OK else { throw CallFailed(status: Int(status), message: lastMessage) }
}

/// Expects a status and, for an error, words that its message must have.
func expect(
  _ status: xverse_status, is expected: Int, saying words: String...,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let name = String(cString: xverse_status_name(status))
  let expectedName = String(cString: xverse_status_name(xverse_status(expected)))
  #expect(name == expectedName, "the message is: \(lastMessage)", sourceLocation: sourceLocation)
  guard expected < 0 else { return }
  #expect(!lastMessage.isEmpty, sourceLocation: sourceLocation)
  for word in words where !word.isEmpty {
    #expect(lastMessage.contains(word), "the message is: \(lastMessage)", sourceLocation: sourceLocation)
  }
}

// MARK: handles

/// Frees what it holds with the function that belongs to it.
final class Handle: @unchecked Sendable {
  typealias Free = @convention(c) (OpaquePointer?) -> Void

  private(set) var pointer: OpaquePointer?
  private let free: Free

  init(_ pointer: OpaquePointer?, _ free: @escaping Free) {
    self.pointer = pointer
    self.free = free
  }

  deinit { free(pointer) }

  /// Frees it now rather than later.
  func end() {
    free(pointer)
    pointer = nil
  }
}

func makeHandle(
  _ free: @escaping Handle.Free, _ create: (UnsafeMutablePointer<OpaquePointer?>) -> xverse_status
) throws -> Handle {
  var pointer: OpaquePointer?
  try check(create(&pointer))
  #expect(pointer != nil)
  return Handle(pointer, free)
}

func makeOptions(_ kind: Int, _ json: String = "{}") throws -> Handle {
  let options = try makeHandle(xverse_options_free) { xverse_options_create(Int32(kind), $0) }
  try check(xverse_options_set_json(options.pointer, json, json.utf8.count))
  return options
}

/// The options that `json` describes; nil, which stands for the defaults, for nil.
private func optional(_ kind: Int, _ json: String?) throws -> Handle? {
  try json.map { try makeOptions(kind, $0) }
}

func makeRuntime(_ json: String? = nil, _ host: RecordingHost? = nil) throws -> Handle {
  let options = try optional(XVERSE_OPTIONS_RUNTIME, json)
  guard let host else {
    return try makeHandle(xverse_runtime_release) { xverse_runtime_create(options?.pointer, nil, $0) }
  }
  var allocator = host.allocator
  return try makeHandle(xverse_runtime_release) { xverse_runtime_create(options?.pointer, &allocator, $0) }
}

func makeCancel() throws -> Handle {
  try makeHandle(xverse_cancel_free) { xverse_cancel_create($0) }
}

func openModel(_ path: String, _ json: String? = nil, on runtime: Handle? = nil) throws -> Handle {
  let options = try optional(XVERSE_OPTIONS_MODEL, json)
  return try makeHandle(xverse_model_release) {
    xverse_model_load(runtime?.pointer, path, options?.pointer, nil, nil, nil, $0)
  }
}

/// The default checkpoint, opened. Its files may go when it is open: they are mapped.
func openTinyModel(on runtime: Handle? = nil) throws -> Handle {
  let directory = try ModelDirectory()
  return try withExtendedLifetime(directory) { try openModel(directory.path, on: runtime) }
}

func makeSampler(_ model: Handle, _ json: String? = nil) throws -> Handle {
  let options = try optional(XVERSE_OPTIONS_SAMPLING, json)
  return try makeHandle(xverse_sampler_free) { xverse_sampler_create(model.pointer, options?.pointer, $0) }
}

/// An array that a function delivers as ARRAYS in xverse.h says: asked for its size first.
func delivered<Element>(
  _ zero: Element, _ call: (UnsafeMutablePointer<Element>?, Int, UnsafeMutablePointer<Int>) -> xverse_status
) throws -> [Element] {
  var count = 0
  try check(call(nil, 0, &count))
  var elements = [Element](repeating: zero, count: count)
  try check(call(&elements, count, &count))
  return elements
}

func encode(_ model: Handle, _ text: String, flags: Int = XVERSE_ENCODE_PLAIN) throws -> [Int32] {
  try delivered(0) {
    xverse_tokenizer_encode(
      xverse_model_tokenizer(model.pointer), text, text.utf8.count, Int32(flags), $0, $1, $2)
  }
}

func decode(_ model: Handle, _ tokens: [Int32], flags: Int = XVERSE_DECODE_SKIP_SPECIAL) throws -> String {
  var text: UnsafeMutablePointer<CChar>?
  var length = 0
  try check(
    xverse_tokenizer_decode(
      xverse_model_tokenizer(model.pointer), tokens, tokens.count, Int32(flags), &text, &length))
  defer { xverse_free(text) }
  // Not up to the first NUL, which a text may contain.
  let start = UnsafeRawPointer(try #require(text))
  return String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
}

func info(of model: Handle) throws -> xverse_model_info {
  var info = xverse_model_info()
  info.size = UInt32(MemoryLayout<xverse_model_info>.size)
  try check(xverse_model_get_info(model.pointer, &info))
  return info
}

/// Bytes that a runtime holds.
func memory(of runtime: Handle) throws -> (current: Int64, peak: Int64) {
  var current: Int64 = -1
  var peak: Int64 = -1
  try check(xverse_runtime_memory(runtime.pointer, &current, &peak))
  return (current, peak)
}

/// Tokens that differ from one to the next, all of the tiny vocabulary's printable characters.
func someTokens(_ count: Int, seed: UInt64 = 1) -> [Int32] {
  var random = SeededRandom(seed: seed)
  return (0..<count).map { _ in Int32.random(in: 6..<100, using: &random) }
}
