// ProcessorSet.swift -- the CPUs that threads may run on.

import CXverseKernels
import Glibc

/// A set of CPUs, as the system's calls have it.
package struct ProcessorSet: Equatable {
  /// Bit n of byte n / 8 stands for CPU n; the calls want room for every CPU that the kernel knows.
  private var bits = [UInt8](repeating: 0, count: 1024)

  package var count: Int { bits.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// The CPUs of every thread of this process together, and those that GNU's OpenMP has set aside for threads that it binds.
  ///
  /// The mask of one thread tells little: other OpenMP runtimes pin the host's thread to one CPU when they bind their
  /// threads, and a thread that it starts inherits that. But a mask that all threads share is taken for the wish of
  /// whoever started the process: the system does not tell what `taskset` has set from what the only thread has set.
  package static var ofProcess: Self {
    var all = Self()
    if let directory = opendir("/proc/self/task") {
      defer { closedir(directory) }
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if let thread = pid_t(name), let processors = Self(ofThread: thread) { all.formUnion(processors) }
      }
    }
    // Without /proc.
    if all.count == 0, let processors = Self(ofThread: 0) { all.formUnion(processors) }
    xvk_add_openmp_places(&all.bits, all.bits.count)
    return all
  }

  package init() {}

  /// - Parameter thread: 0 for the calling one.
  /// - Returns: nil when there is no such thread any more.
  package init?(ofThread thread: pid_t) {
    guard xvk_processors(thread, &bits, bits.count) != 0 else { return nil }
  }

  /// Lets the calling thread run on these CPUs; where the system refuses, it stays where it is.
  package func bindThisThread() {
    _ = xvk_bind_thread(bits, bits.count)
  }

  package func contains(_ processor: Int) -> Bool { bits[processor / 8] & 1 << (processor % 8) != 0 }

  package mutating func insert(_ processor: Int) { bits[processor / 8] |= 1 << (processor % 8) }

  private mutating func formUnion(_ other: Self) {
    for index in bits.indices { bits[index] |= other.bits[index] }
  }
}
