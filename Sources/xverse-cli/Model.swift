// Model.swift -- a loaded model and the session that runs it.

import CXverse

final class Model {
  let handle: OpaquePointer?

  /// The options of every command with a model.
  static let options = [
    OptionGroup("Model", LibraryOptions.specifications(.model, except: ["vocab_only"])), Runtime.options,
  ]

  /// Loads the model named by the first operand, with progress; Ctrl-C breaks it off.
  ///
  /// - Parameters:
  ///   - threads: Compute threads; nil for what the arguments or the library say.
  ///   - evaluatesAll: Whether tokens are evaluated though an earlier session did: to measure that.
  init(_ arguments: Arguments, threads: Int? = nil, evaluatesAll: Bool = false) throws(ToolError) {
    let runtimeOptions = try LibraryOptions(.runtime, from: arguments)
    if let threads { try runtimeOptions.set("threads", threads) }
    let modelOptions = try LibraryOptions(.model, from: arguments)
    if evaluatesAll { try modelOptions.set("prefix_cache", 0) }
    var runtime: OpaquePointer?
    try Library.check(xverse_runtime_create(runtimeOptions.handle, nil, &runtime))
    // The model keeps the runtime that it needs.
    defer { xverse_runtime_release(runtime) }
    var loaded: OpaquePointer?
    try Progress.show(arguments) { user in
      xverse_model_load(
        runtime, arguments.operands[0].path, modelOptions.handle, Interrupt.cancel, Progress.callback, user, &loaded)
    }
    handle = loaded
  }

  deinit { xverse_model_release(handle) }

  func info() throws(ToolError) -> xverse_model_info {
    var info = xverse_model_info()
    info.size = UInt32(MemoryLayout<xverse_model_info>.size)
    try Library.check(xverse_model_get_info(handle, &info))
    return info
  }

  /// The tokenizer, which lives as long as the model.
  var tokenizer: Tokenizer { Tokenizer(borrowing: xverse_model_tokenizer(handle), from: self) }
}

enum Runtime {
  static let options = OptionGroup("Runtime", LibraryOptions.specifications(.runtime))
}

final class Session {
  let handle: OpaquePointer?

  static let options = OptionGroup("Context", LibraryOptions.specifications(.session))

  /// Reports what is wrong with the options before a model is loaded.
  static func check(_ arguments: Arguments) throws(ToolError) { _ = try LibraryOptions(.session, from: arguments) }

  init(_ model: Model, _ arguments: Arguments) throws(ToolError) {
    let options = try LibraryOptions(.session, from: arguments)
    var created: OpaquePointer?
    try Library.check(xverse_session_create(model.handle, options.handle, &created))
    handle = created
  }

  deinit { xverse_session_free(handle) }

  /// Appends `tokens`: their keys and values enter the cache.
  func evaluate(_ tokens: [Int32]) throws(ToolError) {
    try Library.check(xverse_session_eval(handle, tokens, tokens.count, Interrupt.cancel, nil, nil))
  }

  /// Appends `tokens` and returns the natural logarithms of their probabilities, and the sum.
  func score(_ tokens: [Int32]) throws(ToolError) -> (logprobs: [Float], sum: Double) {
    if tokens.isEmpty { return ([], 0) }
    var logprobs = [Float](repeating: 0, count: tokens.count)
    var sum = 0.0
    try Library.check(xverse_session_score(handle, tokens, tokens.count, Interrupt.cancel, &logprobs, &sum))
    return (logprobs, sum)
  }

  func stats() throws(ToolError) -> xverse_stats {
    var stats = xverse_stats()
    stats.size = UInt32(MemoryLayout<xverse_stats>.size)
    try Library.check(xverse_session_stats(handle, &stats))
    return stats
  }

  func save(_ file: Word) throws(ToolError) { try Library.check(xverse_session_save(handle, file.path)) }

  func restore(_ file: Word) throws(ToolError) { try Library.check(xverse_session_restore(handle, file.path)) }

  func setNote(_ note: [UInt8]) throws(ToolError) {
    try Library.check(xverse_session_set_note(handle, note, note.count))
  }

  func note() throws(ToolError) -> [UInt8] {
    var note: UnsafeRawPointer?
    var count = 0
    try Library.check(xverse_session_note(handle, &note, &count))
    return Array(UnsafeRawBufferPointer(start: note, count: count))
  }

  /// Keeps the first `count` tokens.
  func truncate(_ count: Int) throws(ToolError) {
    try Library.check(xverse_session_truncate(handle, Int64(count)))
  }
}
