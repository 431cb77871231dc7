// SystemFiles.swift -- what Linux says about this machine and this process.

import Glibc

enum SystemFiles {
  static var processor: String { field("model name", in: "/proc/cpuinfo") ?? "unknown processor" }

  /// Most bytes that were resident since `resetPeak`, mapped files included.
  static var peakResidentMemory: Int {
    let kilobytes = field("VmHWM", in: "/proc/self/status")?.prefix { $0.isNumber }
    return 1024 * (kilobytes.flatMap { Int($0) } ?? 0)
  }

  static func resetPeak() {
    guard let file = fopen("/proc/self/clear_refs", "w") else { return }
    fputs("5", file)
    fclose(file)
  }

  /// What follows "name :" on the first line that begins so.
  private static func field(_ name: String, in path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0 {
      guard let line, case let text = String(cString: line), text.hasPrefix(name),
        let colon = text.firstIndex(of: ":")
      else { continue }
      return text[text.index(after: colon)...].split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
    return nil
  }
}
