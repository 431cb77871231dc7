// Scheduler.swift -- many answers of one model at a time.

import CXverse
import XverseMeasurement

final class Scheduler {
  private let handle: OpaquePointer?
  /// Whether it is worth trying again after the scheduler refused an answer: one has ended, or nothing has happened since.
  private(set) var hasRoom = true

  /// The keys that a session has too are among its options.
  static let options = OptionGroup(
    "Scheduling", LibraryOptions.specifications(.scheduler, except: ["context", "kv_type"]))

  init(_ model: Model, _ arguments: Arguments) throws(ToolError) {
    let options = try LibraryOptions(.scheduler, from: arguments)
    var created: OpaquePointer?
    try Library.check(xverse_scheduler_create(model.handle, options.handle, &created))
    handle = created
  }

  deinit { xverse_scheduler_free(handle) }

  /// Returns the number of the answer; nil when there are too many already.
  func submit(_ request: Request) throws(ToolError) -> UInt64? {
    var id: UInt64 = 0
    let status = xverse_scheduler_submit(handle, request.handle, &id)
    hasRoom = Int(status) != Int(XVERSE_E_QUEUE_FULL)
    if !hasRoom { return nil }
    try Library.check(status)
    return id
  }

  /// Hands the next event to `receive`, unless none comes within `timeout` milliseconds.
  func next(timeout: Int32, receive: (xverse_event) -> Void) throws(ToolError) {
    var event: UnsafePointer<xverse_event>?
    try Library.check(xverse_scheduler_next(handle, timeout, &event))
    guard let event else {
      hasRoom = true
      return
    }
    if Int(event.pointee.kind) == Int(XVERSE_EVENT_FINISHED) { hasRoom = true }
    receive(event.pointee)
  }

  /// "prompts 270 tokens (20 cached), answers 640 tokens, 512.0 tokens/s in all"
  func summary() throws(ToolError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    var length = 0
    try Library.check(xverse_scheduler_stats(handle, &text, &length))
    let stats = try JSON(parsing: Library.takeString(text, length))
    let evaluated = stats["prompt_tokens"].integerValue ?? 0
    let cached = stats["cached_tokens"].integerValue ?? 0
    let generated = stats["generated_tokens"].integerValue ?? 0
    var speed = "-"
    if case .number(let literal) = stats["tokens_per_second"], let value = Double(literal) {
      speed = Format.short(value)
    }
    return "prompts \(evaluated + cached) tokens (\(cached) cached), answers \(generated) tokens, "
      + "\(speed) tokens/s in all"
  }
}
