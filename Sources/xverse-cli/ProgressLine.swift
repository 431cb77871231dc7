// ProgressLine.swift -- "load: 43 %" on the terminal while something takes long; nothing when stderr is no terminal.

import CXverse

struct ProgressLine {
  private var percent: Int64 = -1
  private var phase = ""

  /// For the library's calls; the user pointer is a pointer to a `ProgressLine`.
  static let callback: xverse_progress_fn = { user, phase, done, total in
    guard let phase else { return 0 }
    user?.assumingMemoryBound(to: ProgressLine.self).pointee.show(done, of: total, in: String(cString: phase))
    return 0
  }

  mutating func show(_ done: Int64, of total: Int64, in phase: String) {
    guard StandardError.isTerminal, total > 0 else { return }
    let percent = Int64((100 * Double(done) / Double(total)).rounded(.down))
    if percent == self.percent, phase == self.phase { return }
    self.percent = percent
    self.phase = phase
    StandardError.write("\r\u{1B}[K\(phase): \(percent) %")
  }

  /// Takes the line away.
  mutating func clear() {
    if percent >= 0 { StandardError.write("\r\u{1B}[K") }
    percent = -1
  }
}
