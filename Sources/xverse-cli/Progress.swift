// Progress.swift -- "load: 43 %, 5.12 GiB of 11.9 GiB, 812 MiB/s, 9 s left" on standard error while something takes long.
//
// On a terminal it is one line that is written again and again, elsewhere a line every few seconds. What took long, and
// what is worth a summary, leaves a line with its totals.

import CXverse
import XverseMeasurement

struct Progress {
  /// Work that is going on, or done.
  struct State {
    /// What the line begins with.
    var phase: String
    /// What `done` and `total` count: "bytes", "lines"
    var unit: String
    var done: Int64
    /// nil when it is not known.
    var total: Int64?
    /// Of `done`, what was there when the phase began.
    var doneBefore: Int64 = 0
    /// Tokens so far, for phases that are not measured by `done`.
    var tokens: Int64?
  }

  private let isQuiet: Bool
  private var state: State?
  private var start = 0.0
  private var lastShown = 0.0
  private var isOnScreen = false

  /// A phase that was shorter leaves no line.
  private static let worthTelling = 2.0

  init(_ arguments: Arguments) { isQuiet = arguments.has("quiet") }

  /// For the library's calls; the user pointer is a pointer to a `Progress`.
  static let callback: xverse_progress_fn = { user, phase, done, total in
    guard let phase = phase.map({ String(cString: $0) }), total > 0 else { return 0 }
    let unit = ["calibrate": "layers", "prefill": "tokens", "score": "tokens"][phase] ?? "bytes"
    user?.assumingMemoryBound(to: Progress.self).pointee.report(
      State(phase: phase, unit: unit, done: done, total: total))
    return 0
  }

  /// Runs a call of the library that reports to `callback`; `call` passes the user pointer on and returns the status.
  ///
  /// - Parameter always: Whether the last phase leaves a line however short it was.
  static func show(
    _ arguments: Arguments, always: Bool = false, _ call: (UnsafeMutableRawPointer) -> xverse_status
  ) throws(ToolError) {
    var progress = Progress(arguments)
    let status = withUnsafeMutablePointer(to: &progress) { call($0) }
    if status < 0 { progress.clear() } else { progress.finish(always: always) }
    try Library.check(status)
  }

  /// Takes note of where things stand, and shows it when it is time. A new phase ends the one before it.
  mutating func report(_ new: State) {
    let now = Machine.now
    if state?.phase != new.phase {
      finish()
      (start, lastShown) = (now, StandardError.terminal.rewritesLines ? 0 : now)
    }
    state = new
    let interval = StandardError.terminal.rewritesLines ? 0.1 : 10
    // What is done at the first look took no time worth showing.
    guard !isQuiet, now - lastShown >= interval, isOnScreen || new.done != new.total else { return }
    lastShown = now
    let text = new.line(after: now - start)
    if StandardError.terminal.rewritesLines {
      StandardError.write("\r\u{1B}[K\(text.prefix(StandardError.terminal.width - 1))")
      isOnScreen = true
    } else {
      StandardError.write(text + "\n")
    }
  }

  /// Ends the phase, with a line about it if that is worth telling.
  ///
  /// - Parameter always: Tell it in any case.
  mutating func finish(always: Bool = false) {
    clear()
    guard let ended = state else { return }
    let elapsed = Machine.now - start
    state = nil
    if !isQuiet, always || elapsed >= Self.worthTelling { StandardError.write(ended.summary(after: elapsed) + "\n") }
  }

  /// Seconds since the phase began.
  var elapsed: Double { state == nil ? 0 : Machine.now - start }

  /// Takes the line off the screen: what comes next is no progress.
  mutating func clear() {
    if isOnScreen { StandardError.write("\r\u{1B}[K") }
    isOnScreen = false
  }
}

extension Progress.State {
  /// "answer: 12 %, 120 of 1000 lines, 512 tokens/s, 1 min 20 s left"
  fileprivate func line(after elapsed: Double) -> String {
    var parts: [String] = []
    if let total, total > 0 {
      parts.append("\(Int64((100 * Double(done) / Double(total)).rounded(.down))) %")
      parts.append("\(unit == "bytes" ? amount(done) : "\(done)") of \(amount(total))")
    } else {
      parts.append(amount(done))
    }
    if let rate = rate(after: elapsed) { parts.append(rate) }
    // An estimate from the first moments says nothing.
    if let total, done < total, done > doneBefore, elapsed >= 1 {
      let seconds = (elapsed / Double(done - doneBefore) * Double(total - done)).rounded(.up)
      parts.append("\(seconds < 60 ? "\(Int(seconds)) s" : Format.duration(seconds)) left")
    }
    return "\(phase): " + parts.joined(separator: ", ")
  }

  /// "answer: 1000 lines (200 of an earlier run), 51200 tokens in 1 min 40 s, 512 tokens/s"
  fileprivate func summary(after elapsed: Double) -> String {
    var text = "\(phase): \(amount(done))"
    if doneBefore > 0 { text += " (\(doneBefore) of an earlier run)" }
    if let tokens { text += ", \(tokens) tokens" }
    text += " in \(Format.duration(elapsed))"
    return text + (rate(after: elapsed).map { ", \($0)" } ?? "")
  }

  private func amount(_ count: Int64) -> String { unit == "bytes" ? Format.bytes(Int(count)) : "\(count) \(unit)" }

  /// nil when the time was too short to tell.
  private func rate(after elapsed: Double) -> String? {
    let count = tokens ?? done - doneBefore
    guard count > 0, elapsed > 0 else { return nil }
    let rate = Double(count) / elapsed
    // A year of work at this speed is less than Int64.max bytes.
    if tokens == nil, unit == "bytes" { return rate < 0x1p60 ? "\(Format.bytes(Int(rate)))/s" : nil }
    return "\(Format.short(rate)) \(tokens == nil ? unit : "tokens")/s"
  }
}
