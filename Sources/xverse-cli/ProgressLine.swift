// ProgressLine.swift -- "loading 43 %" on the terminal while something takes long; nothing when stderr is no terminal.

import CXverse

struct ProgressLine {
  private let title: String
  private var percent: Int64 = -1

  init(_ title: String) { self.title = title }

  /// For the library's calls; the user pointer is a pointer to a `ProgressLine`.
  static let callback: xverse_progress_fn = { user, _, done, total in
    user?.assumingMemoryBound(to: ProgressLine.self).pointee.show(done, of: total)
    return 0
  }

  mutating func show(_ done: Int64, of total: Int64) {
    guard StandardError.isTerminal, total > 0 else { return }
    let percent = Int64((100 * Double(done) / Double(total)).rounded(.down))
    if percent == self.percent { return }
    self.percent = percent
    StandardError.write("\r\(title) \(percent) %")
  }

  /// Takes the line away.
  mutating func clear() {
    if percent >= 0 { StandardError.write("\r\u{1B}[K") }
    percent = -1
  }
}
