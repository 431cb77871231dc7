// Machine.swift -- what Linux reports about this machine and this process.

import Glibc

package enum Machine {
  /// The processor's name.
  package static var processor: String { field("model name", in: "/proc/cpuinfo") ?? "unknown processor" }

  /// The processors that this process may use: the bits of a mask in hexadecimal.
  package static var processorCount: Int {
    let mask = field("Cpus_allowed", in: "/proc/self/status") ?? ""
    return max(1, mask.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount })
  }

  /// Bytes of memory that nothing uses, not even as a cache of files.
  package static var freeMemory: Int { bytes("MemFree", in: "/proc/meminfo") }

  /// The most bytes that this process had resident since its start or `resetPeak`, mapped files included.
  package static var peakResidentMemory: Int { bytes("VmHWM", in: "/proc/self/status") }

  /// Resident bytes of this process that belong to no file.
  package static var anonymousMemory: Int { bytes("RssAnon", in: "/proc/self/status") }

  /// Monotonic time in seconds.
  package static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  /// Lets `peakResidentMemory` start from what is resident now.
  package static func resetPeak() {
    guard let file = fopen("/proc/self/clear_refs", "w") else { return }
    fputs("5", file)
    fclose(file)
  }

  /// The value of a "name: 123 kB" line in bytes; 0 where there is none.
  private static func bytes(_ name: String, in path: String) -> Int {
    guard let digits = field(name, in: path)?.prefix(while: \.isNumber) else { return 0 }
    return 1024 * (Int(digits) ?? 0)
  }

  /// What follows "name :" on the first such line, without the spaces around it.
  private static func field(_ name: String, in path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0 {
      guard let text = line.map({ String(cString: $0) }), text.hasPrefix(name) else { continue }
      let rest = text.dropFirst(name.count).drop(while: \.isWhitespace)
      guard rest.first == ":" else { continue }
      return String(rest.dropFirst().drop(while: \.isWhitespace).prefix { !$0.isNewline })
    }
    return nil
  }
}
