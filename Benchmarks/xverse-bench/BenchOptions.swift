// BenchOptions.swift -- the command line of xverse-bench.

import XverseCore
import XverseRuntime
import XverseTensors

/// What can be measured of a model.
enum BenchPart: String, CaseIterable {
  case load, depth, prefill, decode, batch, scheduler, matrices
}

struct BenchOptions {
  private(set) var models: [String] = []
  private(set) var threadCount = ProcessorLimits.current.threadCount
  private(set) var instructionSet = Kernels.InstructionSet.fastest
  private(set) var repeats = 5
  /// Tokens in the cache of the decode at depth.
  private(set) var depth = 4096
  private(set) var cacheElement = KVElement.float16
  private(set) var parts = Set(BenchPart.allCases)
  private(set) var jsonPath: String?

  private static let usage = """
    usage: xverse-bench [--threads N] [--isa NAME] [--repeats N] [--depth N] [--kv-type TYPE] [--only PART,PART...] \
    [--json FILE] MODEL...; parts: \(BenchPart.allCases.map(\.rawValue).joined(separator: ", "))
    """

  init(parsing words: some Collection<String>) throws(XverseError) {
    var rest = Array(words)[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        models.append(word)
        continue
      }
      guard let value = rest.popFirst(), set(word, value) else { throw .invalid(Self.usage) }
    }
  }

  /// Sets one option; false when there is no such option or value.
  private mutating func set(_ name: String, _ value: String) -> Bool {
    switch name {
    case "--threads": set(\.threadCount, Int(value), in: 1...1024)
    case "--repeats": set(\.repeats, Int(value), in: 1...1000)
    case "--depth": set(\.depth, Int(value), in: 1...(1 << 20))
    case "--isa": set(\.instructionSet, Kernels.InstructionSet.allCases.first { $0.name == value })
    case "--kv-type": set(\.cacheElement, KVElement(rawValue: value))
    case "--only": setParts(value)
    case "--json": set(\.jsonPath, value)
    default: false
    }
  }

  private mutating func set(_ option: WritableKeyPath<Self, Int>, _ value: Int?, in range: ClosedRange<Int>) -> Bool {
    set(option, value.flatMap { range.contains($0) ? $0 : nil })
  }

  private mutating func set<Value>(_ option: WritableKeyPath<Self, Value>, _ value: Value?) -> Bool {
    guard let value else { return false }
    self[keyPath: option] = value
    return true
  }

  private mutating func setParts(_ list: String) -> Bool {
    let names = list.split(separator: ",")
    parts = Set(names.compactMap { BenchPart(rawValue: String($0)) })
    return parts.count == names.count
  }
}
