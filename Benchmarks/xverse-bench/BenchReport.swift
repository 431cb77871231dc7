// BenchReport.swift -- the figures as tables for people and as JSON for programs.

import Glibc
import XverseCore
import XverseLoading
import XverseRuntime
import XverseTensors

/// One kind of pass: its speed, and what part of the machine's limit that is.
struct Row {
  /// What is counted a second.
  enum Unit: String {
    case tokens = "tokens/s"
    case gigabytes = "GB/s"
    case operations = "GOP/s"
  }

  let name: String
  let unit: Unit
  let limits: [MachineLimit]
  private(set) var rates = Samples()
  private(set) var shares = Samples()

  init(name: String, unit: Unit, limits: [MachineLimit]) {
    self.name = name
    self.unit = unit
    self.limits = limits
  }

  mutating func append(rate: Double, share: Double) {
    rates.append(rate)
    shares.append(share)
  }

  var text: String {
    let figures = [rates.median, rates.minimum, rates.maximum].map { rightAligned(short($0), 9) }.joined()
    let limit = limits.map(\.rawValue).joined(separator: " or ")
    return "  \(padded(name, 20))\(padded(unit.rawValue, 9))\(figures)   \(fixed(shares.median, 2)) of \(limit)"
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.write(name, "name")
    writer.write(unit.rawValue, "unit")
    rates.write(to: &writer, "rate")
    shares.write(to: &writer, "share_of_limit")
    writer.write(limits.map(\.rawValue).joined(separator: " or "), "limit")
    writer.endObject()
  }
}

/// The most memory that was resident, and what explains it.
struct MemoryUse {
  let peak, weights, cache, tokens: Int

  var text: String {
    """
    \(gigabytes(peak)) resident at most with \(tokens) tokens: weights \(gigabytes(weights)), cache \
    \(gigabytes(cache)), \(short(1e-6 * Double(peak - weights - cache))) MB besides
    """
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject("memory")
    writer.write(peak, "peak_resident_bytes")
    writer.write(weights, "weight_bytes")
    writer.write(cache, "cache_bytes")
    writer.write(tokens, "tokens")
    writer.endObject()
  }
}

/// What was measured of one model.
struct ModelReport {
  private var name = ""
  private var parameterCount = 0
  private var weightBytes = 0
  var dtype = DType.float32
  var load: Samples?
  var firstToken: Samples?
  var memory: MemoryUse?
  var rows: [Row] = []

  mutating func describe(_ model: LoadedModel) {
    name = model.name
    parameterCount = model.configuration.parameterCount
    weightBytes = model.weightBytes
  }

  var text: String {
    let size = "\(short(1e-9 * Double(parameterCount))) G parameters, \(gigabytes(weightBytes))"
    var lines = ["\(name): \(dtype.name), \(size)"]
    if let load, let firstToken {
      lines.append("  load \(short(load.median)) s, first token after \(short(firstToken.median)) s")
    }
    if let memory { lines.append("  " + memory.text) }
    let heading = ["median", "min", "max"].map { rightAligned($0, 9) }.joined()
    lines.append(padded("", 31) + heading)
    return (lines + rows.map(\.text)).joined(separator: "\n") + "\n"
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.write(name, "name")
    writer.write(dtype.name, "type")
    writer.write(parameterCount, "parameters")
    writer.write(weightBytes, "weight_bytes")
    load?.write(to: &writer, "load_seconds")
    firstToken?.write(to: &writer, "first_token_seconds")
    memory?.write(to: &writer)
    writer.beginArray("rows")
    for row in rows { row.write(to: &writer) }
    writer.endArray()
    writer.endObject()
  }
}

/// The machine and all models.
struct BenchReport {
  private let kernels: Kernels
  private let limits: [(limit: MachineLimit, single: Double, all: Double)]
  var models: [ModelReport] = []

  init(kernels: Kernels, limits: [(limit: MachineLimit, single: Double, all: Double)]) {
    self.kernels = kernels
    self.limits = limits
  }

  var machineText: String {
    let setting = "\(kernels.threadCount) threads, \(kernels.instructionSet.name) kernels"
    var lines = ["\(SystemFiles.processor), \(setting), commit \(Kernels.buildCommit)"]
    lines.append(padded("", 31) + rightAligned("1 thread", 9) + rightAligned("all", 9))
    for (limit, single, all) in limits {
      let figures = [single, all].map { rightAligned(short(1e-9 * $0), 9) }.joined()
      lines.append("  \(padded(limit.rawValue, 20))\(padded(limit == .memory ? "GB/s" : "GOP/s", 9))\(figures)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  var json: String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.write(SystemFiles.processor, "machine")
    writer.write(kernels.threadCount, "threads")
    writer.write(kernels.instructionSet.name, "kernels")
    writer.write(Kernels.buildCommit, "commit")
    writer.beginObject("limits")
    for (limit, single, all) in limits {
      writer.beginObject(limit.rawValue)
      writer.write(single, "one_thread")
      writer.write(all, "all_threads")
      writer.endObject()
    }
    writer.endObject()
    writer.beginArray("models")
    for model in models { model.write(to: &writer) }
    writer.endArray()
    writer.endObject()
    return writer.text
  }
}

// MARK: Numbers for people

/// `value` with `digits` digits after the point; "-" for what is no number.
private func fixed(_ value: Double, _ digits: Int) -> String {
  if !value.isFinite { return "-" }
  return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
    let written = withVaList([Int32(digits), value]) { vsnprintf(buffer.baseAddress, buffer.count, "%.*f", $0) }
    return String(decoding: UnsafeRawBufferPointer(buffer).prefix(Int(written)), as: UTF8.self)
  }
}

/// Three or four significant digits.
private func short(_ value: Double) -> String {
  fixed(value, value.magnitude < 1 ? 3 : value.magnitude < 10 ? 2 : value.magnitude < 1000 ? 1 : 0)
}

private func gigabytes(_ bytes: Int) -> String { "\(fixed(1e-9 * Double(bytes), 2)) GB" }

private func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

private func rightAligned(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}
