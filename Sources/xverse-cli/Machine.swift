// Machine.swift -- what Linux says about this computer and this process.

import Glibc

enum Machine {
  /// The processor's name.
  static var processor: String { field("model name", in: "/proc/cpuinfo") ?? "unknown processor" }

  /// The processors that this process may use: the bits of a mask in hexadecimal.
  static var processorCount: Int {
    let mask = field("Cpus_allowed", in: "/proc/self/status") ?? ""
    return max(1, mask.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount })
  }

  /// Bytes of memory that nothing uses, not even as a cache of files.
  static var freeMemory: Int { kilobytes("MemFree", in: "/proc/meminfo") }

  /// The most memory that this process ever had resident, mapped files included.
  static var peakResidentMemory: Int { kilobytes("VmHWM", in: "/proc/self/status") }

  /// The resident memory of this process that is no file's.
  static var anonymousMemory: Int { kilobytes("RssAnon", in: "/proc/self/status") }

  /// Monotonic time in seconds.
  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  /// The value of a "name: 123 kB" line in bytes; 0 where there is none.
  private static func kilobytes(_ name: String, in path: String) -> Int {
    guard let digits = field(name, in: path)?.prefix(while: \.isNumber) else { return 0 }
    return 1024 * (Int(digits) ?? 0)
  }

  /// What follows "name :" on its line.
  private static func field(_ name: String, in path: String) -> String? {
    guard let text = contents(of: path) else { return nil }
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      let rest = line.dropFirst(name.count).drop(while: \.isWhitespace)
      if rest.first == ":" { return String(rest.dropFirst().drop(while: \.isWhitespace)) }
    }
    return nil
  }

  private static func contents(of path: String) -> String? {
    do throws(ToolError) {
      var reader = try InputReader(path: path)
      return String(characters: try reader.readAll())
    } catch {
      return nil
    }
  }
}
