// Generation.swift -- one answer: the request, its text as it comes, and what the library says about it in the end.

import CXverse
import XverseMeasurement

/// What to generate from.
final class Request {
  let handle: OpaquePointer?

  init(_ model: Model, _ sampling: LibraryOptions) throws(ToolError) {
    var created: OpaquePointer?
    try Library.check(xverse_request_create(model.handle, &created))
    handle = created
    try Library.check(xverse_request_set_options(handle, sampling.handle))
  }

  deinit { xverse_request_free(handle) }

  /// - Parameter unused: Keys of which the command makes no use.
  static func options(except unused: [String] = []) -> OptionGroup {
    let hidden = ["n", "priority", "num_assistant_tokens"] + unused
    return OptionGroup(
      "Sampling",
      [.flag("greedy", "Always take the most probable token: the same as --do-sample=0.")]
        + LibraryOptions.specifications(.sampling, except: hidden))
  }

  /// The sampling options of the command line; what it leaves out stays the model's default.
  static func sampling(from arguments: Arguments) throws(ToolError) -> LibraryOptions {
    let options = try LibraryOptions(.sampling, from: arguments)
    if arguments.has("greedy") {
      for other in ["do-sample", "temperature"] where arguments.has(other) {
        throw .usage("--greedy and --\(other) cannot be used together")
      }
      try options.set("do_sample", 0)
    }
    return options
  }

  /// Adds text as it stands.
  func add(text: [CChar]) throws(ToolError) {
    try Library.check(xverse_request_add_text(handle, text, text.count))
  }

  /// Adds a message of a conversation, for the model's chat template.
  func add(role: String, text: [CChar]) throws(ToolError) {
    try Library.check(xverse_request_add_message(handle, role, text, text.count))
  }
}

/// A finished answer.
struct Answer {
  /// The text so far, also of an answer that was cancelled.
  var text: [CChar]
  var tokens: [Int32] = []
  /// Natural logarithms of the probabilities, one a token; empty unless they were asked for.
  var logprobs: [Float] = []
  var stats = xverse_stats()
  var isCancelled = false

  var finishReason: String {
    switch Int(stats.finish_reason) {
    case _ where isCancelled, Int(XVERSE_FINISH_CANCELLED): "cancelled"
    case Int(XVERSE_FINISH_EOS): "eos"
    case Int(XVERSE_FINISH_STOP): "stop"
    case Int(XVERSE_FINISH_LENGTH): "length"
    case Int(XVERSE_FINISH_DEADLINE): "deadline"
    case Int(XVERSE_FINISH_CALLBACK): "callback"
    case Int(XVERSE_FINISH_ERROR): "error"
    default: "none"
    }
  }

  /// "prompt 27 tokens (20 cached), 131.2 tokens/s; answer 64 tokens, 12.4 tokens/s"
  var summary: String {
    let evaluated = stats.n_prompt - stats.n_cached
    return "prompt \(stats.n_prompt) tokens (\(stats.n_cached) cached), "
      + "\(Format.rate(evaluated, nanoseconds: stats.ns_prefill)) tokens/s; "
      + "answer \(stats.n_generated) tokens, "
      + "\(Format.rate(stats.n_generated, nanoseconds: stats.ns_decode)) tokens/s"
  }
}

/// Runs a request and passes its text on, piece by piece.
final class AnswerStream {
  private let show: (UnsafeRawBufferPointer) throws(ToolError) -> Void
  /// Shown while the prompt is evaluated.
  private var progress: Progress
  private var text: [CChar] = []
  private var failure: ToolError?

  /// - Parameter show: Receives each piece of text; when it throws, the answer is stopped and `run` throws the same.
  init(_ progress: Progress, show: @escaping (UnsafeRawBufferPointer) throws(ToolError) -> Void) {
    self.progress = progress
    self.show = show
  }

  /// Generates until the library stops or Ctrl-C is pressed; the latter gives an answer that `isCancelled`.
  func run(_ request: Request, in session: Session) throws(ToolError) -> Answer {
    text = []
    failure = nil
    var result: OpaquePointer?
    let status = xverse_session_generate(
      session.handle, request.handle, Interrupt.cancel, Self.callback, Unmanaged.passUnretained(self).toOpaque(),
      &result)
    defer { xverse_result_free(result) }
    progress.clear()
    if let failure { throw failure }
    var answer = Answer(text: text)
    answer.isCancelled = Int(status) == Int(XVERSE_E_CANCELLED)
    if !answer.isCancelled { try Library.check(status) }
    if let result { try Self.read(result, into: &answer) }
    return answer
  }

  private static func read(_ result: OpaquePointer, into answer: inout Answer) throws(ToolError) {
    var tokens: UnsafePointer<Int32>?
    var logprobs: UnsafePointer<Float>?
    var count = 0
    try Library.check(xverse_result_tokens(result, &tokens, &logprobs, &count))
    answer.tokens = Array(UnsafeBufferPointer(start: tokens, count: count))
    if logprobs != nil { answer.logprobs = Array(UnsafeBufferPointer(start: logprobs, count: count)) }
    answer.stats.size = UInt32(MemoryLayout<xverse_stats>.size)
    try Library.check(xverse_result_stats(result, &answer.stats))
  }

  private static let callback: xverse_stream_fn = { user, event in
    guard let user, let event = event?.pointee else { return 0 }
    return Unmanaged<AnswerStream>.fromOpaque(user).takeUnretainedValue().receive(event)
  }

  /// Returns 0 to go on, 1 to stop.
  private func receive(_ event: xverse_event) -> Int32 {
    if Int(event.kind) == Int(XVERSE_EVENT_PREFILL) {
      progress.report(
        Progress.State(phase: "prompt", unit: "tokens", done: event.n_prompt_done, total: event.n_prompt_total))
    } else {
      progress.clear()
    }
    if event.text_len == 0 { return 0 }
    text.append(contentsOf: UnsafeBufferPointer(start: event.text, count: event.text_len))
    do throws(ToolError) {
      try show(UnsafeRawBufferPointer(start: event.text, count: event.text_len))
      return 0
    } catch {
      failure = error
      return 1
    }
  }
}
