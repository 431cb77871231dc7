// CPUQuota.swift -- how much CPU time control groups grant this process, as `docker --cpus` and Kubernetes set it.

import Glibc

package enum CPUQuota {
  /// CPUs whose whole time the process gets: the least of its cgroup and those above; nil when none has a limit.
  ///
  /// - Parameter root: Stands before every path that is read; for tests.
  package static func current(root: String = "") -> Double? {
    guard let groups = text(root + "/proc/self/cgroup"), let mounts = text(root + "/proc/self/mountinfo") else {
      return nil
    }
    return lines(mounts).compactMap(Mount.init).compactMap { mount in
      lines(groups).compactMap { mount.directory(of: $0) }.compactMap { path in
        smallest(from: root + path, upTo: root + mount.point, mount.isUnified ? unified : separate)
      }.min()
    }.min()
  }

  /// A mounted hierarchy that has a CPU controller: the only one of version 2, or that of version 1.
  private struct Mount {
    /// Which cgroup stands at `point`.
    let root: String
    let point: String
    let isUnified: Bool

    /// - Parameter line: `36 35 98:0 ROOT POINT OPTIONS ... - TYPE SOURCE OPTIONS`.
    init?(_ line: Substring) {
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { return nil }
      switch fields[dash + 1] {
      case "cgroup2": isUnified = true
      case "cgroup" where fields[dash + 3].split(separator: ",").contains("cpu"): isUnified = false
      default: return nil
      }
      (root, point) = (String(fields[3]), String(fields[4]))
    }

    /// Where the cgroup of a line `ID:CONTROLLERS:PATH` stands, if it belongs to this hierarchy.
    func directory(of line: Substring) -> String? {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return nil }
      let isOurs =
        isUnified ? fields[0] == "0" && fields[1].isEmpty : fields[1].split(separator: ",").contains("cpu")
      guard isOurs else { return nil }
      let path = fields[2]
      // In a container the path can be the one outside: its own cgroup is then what is mounted.
      if root == "/" && !path.hasPrefix("/..") { return path == "/" ? point : point + path }
      return path.hasPrefix(root + "/") ? point + path.dropFirst(root.count) : point
    }
  }

  private static func smallest(
    from directory: String, upTo top: String, _ quota: (_ directory: String) -> Double?
  ) -> Double? {
    var least: Double?
    var path = directory
    while true {
      if let found = quota(path) { least = min(least ?? found, found) }
      guard path.utf8.count > top.utf8.count, let slash = path.lastIndex(of: "/") else { return least }
      path = String(path[..<slash])
    }
  }

  /// cpu.max: "50000 100000", or "max 100000" without a limit.
  private static func unified(_ directory: String) -> Double? {
    guard let fields = text(directory + "/cpu.max")?.split(whereSeparator: \.isWhitespace), fields.count == 2 else {
      return nil
    }
    return ratio(fields[0], fields[1])
  }

  /// Microseconds in a period; -1 without a limit.
  private static func separate(_ directory: String) -> Double? {
    guard let quota = text(directory + "/cpu.cfs_quota_us"), let period = text(directory + "/cpu.cfs_period_us") else {
      return nil
    }
    return ratio(quota.prefix { !$0.isWhitespace }, period.prefix { !$0.isWhitespace })
  }

  private static func ratio(_ quota: Substring, _ period: Substring) -> Double? {
    guard let quota = Int64(quota), let period = Int64(period), quota > 0, period > 0 else { return nil }
    return Double(quota) / Double(period)
  }

  private static func lines(_ text: String) -> [Substring] { text.split(separator: "\n") }

  /// The contents of a small file; nil when it cannot be read.
  private static func text(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while bytes.count < 1 << 20 {
      let count = read(file, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      bytes += chunk.prefix(count)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
