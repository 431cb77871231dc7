// ProcessorLimits.swift -- how many CPUs are for this process: its affinity mask, and the time that its cgroup grants.

import Glibc
import XverseTensors

/// What limits the number of compute threads.
package struct ProcessorLimits {
  /// The CPUs that threads of the process may run on.
  package let processors: ProcessorSet
  /// CPUs whose whole time the cgroup grants; nil: no limit.
  package let quota: Double?

  /// The limits of this process now.
  package static var current: Self { Self(processors: .ofProcess, quota: CPUQuota.current()) }

  /// The default number of compute threads, 1 ... 1024: more would wait for each other.
  package var threadCount: Int {
    let most = min(max(1, processors.count), 1024)
    guard let quota, quota < Double(most) else { return most }
    return max(1, Int(quota.rounded()))
  }

  /// Why there are so many, for the log.
  package var reason: String {
    let online = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    let mask =
      "this process may use \(processors.count) CPU\(processors.count == 1 ? "" : "s")"
      + (online > processors.count ? " of \(online)" : "")
    guard let quota else { return mask }
    return mask + ", and its cgroup grants the time of \((quota * 100).rounded() / 100)"
  }
}
