// BatchProgress.swift -- "batch: 120/1000 lines, 512 tokens/s, 1 min 20 s left" on standard error.

import XverseMeasurement

struct BatchProgress {
  /// Lines of the input; nil when that is not known.
  private let total: Int?
  private let isShown: Bool
  private let start = Machine.now
  /// Lines that this run and earlier ones have answered.
  private var done = 0
  private var doneBefore = 0
  private var tokens = 0
  private var lastShown = 0.0

  init(isShown: Bool, total: Int?) {
    self.isShown = isShown
    self.total = total
  }

  /// Counts a line of an earlier run.
  mutating func keepLine() {
    done += 1
    doneBefore += 1
  }

  mutating func finishLine() { done += 1 }

  /// Counts tokens of this run.
  mutating func add(tokens count: Int) { tokens += count }

  /// Shows where things stand: in place on a terminal, else as a line now and then.
  mutating func show() {
    let time = Machine.now
    guard isShown, time - max(lastShown, start) >= (StandardError.isTerminal ? 0.2 : 10) else { return }
    lastShown = time
    StandardError.write(StandardError.isTerminal ? "\r\u{1B}[K\(text(at: time))" : text(at: time) + "\n")
  }

  /// Shows the last state for good.
  func end() {
    if isShown { StandardError.write((StandardError.isTerminal ? "\r\u{1B}[K" : "") + text(at: Machine.now) + "\n") }
  }

  private func text(at time: Double) -> String {
    let elapsed = time - start
    let speed = Format.rate(Int64(tokens), nanoseconds: Int64(elapsed * 1e9))
    var text = "batch: \(done)" + (total.map { "/\($0)" } ?? "") + " lines, \(speed) tokens/s"
    if let total, done < total, done > doneBefore {
      text += ", \(Self.duration(elapsed / Double(done - doneBefore) * Double(total - done))) left"
    }
    return text
  }

  /// "8 s", "2 min 5 s", "3 h 12 min"
  private static func duration(_ seconds: Double) -> String {
    // More than a year is no estimate.
    let seconds = Int(min(seconds.rounded(.up), 366 * 86400))
    if seconds < 60 { return "\(seconds) s" }
    if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
    return "\(seconds / 3600) h \(seconds / 60 % 60) min"
  }
}
