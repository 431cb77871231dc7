// ProcessorLimitsTests.swift -- how many threads a process should have: affinity masks and cgroups.

import Foundation
import TestSupport
import Testing

import XverseTensors

@testable import XverseRuntime

@Suite("ProcessorLimits")
struct ProcessorLimitsTests {
  private static let limitless = ["cpu.max": "max 100000\n"]

  @Test("counts at least one CPU and no more than threads are allowed")
  func current() {
    #expect((1...1024).contains(ProcessorLimits.current.threadCount))
    #expect(ProcessorLimits.current.reason.contains("CPU"))
  }

  @Test("says how many CPUs a process leaves unused")
  func reason() {
    var one = ProcessorSet()
    one.insert(0)
    let online = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    #expect(
      ProcessorLimits(processors: one, quota: 0.5).reason
        == "this process may use 1 CPU\(online > 1 ? " of \(online)" : ""), and its cgroup grants the time of 0.5")
  }

  @Test("a thread that is bound to one CPU does not bind the process")
  func pinnedCaller() throws {
    let all = ProcessorSet.ofProcess
    let before = try #require(ProcessorSet(ofThread: 0))
    let done = DispatchSemaphore(value: 0)
    let end = DispatchSemaphore(value: 0)
    Thread {
      done.signal()
      end.wait()
    }.start()
    done.wait()
    defer {
      before.bindThisThread()
      end.signal()
    }
    var one = before
    one.keepFirst()
    one.bindThisThread()
    #expect(ProcessorSet(ofThread: 0)?.count == 1)
    #expect(ProcessorSet.ofProcess == all)
  }

  @Test(
    "rounds the quota, to one thread at least and as many as there are CPUs at most",
    arguments: [(0.01, 1), (0.5, 1), (1.4, 1), (1.5, 2), (2, 2), (3.7, 4), (1000, 4), (nil, 4)] as [(Double?, Int)])
  func rounding(quota: Double?, expected: Int) {
    var processors = ProcessorSet()
    for processor in 10..<14 { processors.insert(processor) }
    #expect(ProcessorLimits(processors: processors, quota: quota).threadCount == expected)
  }

  @Test("version 2: the least of a cgroup and those above it")
  func unified() throws {
    let root = try tree(
      groups: "0::/a/b\n", mounts: "30 20 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
      [
        "/sys/fs/cgroup/a/b": ["cpu.max": "300000 100000\n"], "/sys/fs/cgroup/a": ["cpu.max": "150000 100000\n"],
        "/sys/fs/cgroup": [:],
      ])
    #expect(CPUQuota.current(root: root.path) == 1.5)
  }

  @Test("version 2: a cgroup without a limit, and one that is mounted as the root of a container")
  func unifiedInContainer() throws {
    let mount = "30 20 0:25 /kubepods/pod7 /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
    let free = try tree(groups: "0::/\n", mounts: mount, ["/sys/fs/cgroup": Self.limitless])
    #expect(CPUQuota.current(root: free.path) == nil)
    for path in ["/kubepods/pod7", "/", "/../other", "/kubepods/pod7/inner"] {
      let root = try tree(
        groups: "0::\(path)\n", mounts: mount, ["/sys/fs/cgroup": ["cpu.max": "50000 100000\n"]])
      #expect(CPUQuota.current(root: root.path) == 0.5, "\(path)")
    }
  }

  @Test("version 1: the hierarchy of the CPU controller")
  func separate() throws {
    let root = try tree(
      groups: "5:memory:/box\n4:cpu,cpuacct:/box\n0::/box\n",
      mounts: """
        31 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        32 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct

        """,
      [
        "/sys/fs/cgroup/cpu,cpuacct/box": ["cpu.cfs_quota_us": "250000\n", "cpu.cfs_period_us": "100000\n"],
        "/sys/fs/cgroup/cpu,cpuacct": ["cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"],
      ])
    #expect(CPUQuota.current(root: root.path) == 2.5)
  }

  @Test(
    "what makes no sense is no limit",
    arguments: ["", "max", "0 0", "-5 100000", "5 -1", "many few", "99999999999999999999999 1", "1 2 3"])
  func nonsense(text: String) throws {
    let root = try tree(
      groups: "0::/\nodd\n::\n", mounts: "x\n - cgroup2\n30 20 0:25 / /c rw - cgroup2 none rw\n",
      ["/c": ["cpu.max": text]])
    #expect(CPUQuota.current(root: root.path) == nil)
    #expect(CPUQuota.current(root: root.path + "/nowhere") == nil)
  }

  private func tree(
    groups: String, mounts: String, _ folders: [String: [String: String]]
  ) throws -> TemporaryDirectory {
    let root = try TemporaryDirectory()
    var folders = folders
    folders["/proc/self"] = ["cgroup": groups, "mountinfo": mounts]
    for (folder, files) in folders {
      try FileManager.default.createDirectory(atPath: root.path + folder, withIntermediateDirectories: true)
      for (name, text) in files { try root.write(folder + "/" + name, text) }
    }
    return root
  }
}

extension ProcessorSet {
  fileprivate mutating func keepFirst() {
    guard let first = (0..<8192).first(where: contains) else { return }
    self = ProcessorSet()
    insert(first)
  }
}
