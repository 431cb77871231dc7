// BenchReport.swift -- the figures as tables for people and as JSON for programs.

import XverseCore
import XverseLoading
import XverseMeasurement
import XverseRuntime
import XverseTensors

/// One kind of pass: its speed, and what part of the machine's limit that is.
struct Row {
  /// What is counted a second.
  enum Unit: String {
    case tokens = "tokens/s"
    case gigabytes = "GB/s"
    case operations = "GOP/s"
    /// Gaps between two tokens of an answer.
    case gaps = "gaps"
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
    limits.isEmpty
      ? layout.line("  " + name, unit.rawValue, rates)
      : layout.line("  " + name, unit.rawValue, rates, shares, of: limit)
  }

  private var limit: String { limits.map(\.rawValue).joined(separator: " or ") }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.write(name, "name")
    writer.write(unit.rawValue, "unit")
    rates.write(to: &writer, "rate")
    shares.write(to: &writer, "share_of_limit")
    writer.write(limit, "limit")
    writer.endObject()
  }
}

/// The most memory that was resident, and what explains it.
struct MemoryUse {
  let peak, weights, cache, tokens: Int

  var text: String {
    """
    \(gigabytes(peak)) resident at most with \(tokens) tokens: weights \(gigabytes(weights)), cache \
    \(gigabytes(cache)), \(Format.short(1e-6 * Double(peak - weights - cache))) MB besides
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
    let size = "\(Format.short(1e-9 * Double(parameterCount))) G parameters, \(gigabytes(weightBytes))"
    var lines = ["\(name): \(dtype.name), \(size)"]
    if let load, let firstToken {
      lines.append("  load \(Format.short(load.median)) s, first token after \(Format.short(firstToken.median)) s")
    }
    if let memory { lines.append("  " + memory.text) }
    lines.append(layout.heading(["median", "min", "max"]))
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
    var lines = ["\(Machine.processor), \(setting), commit \(Kernels.buildCommit)"]
    lines.append(layout.heading(["1 thread", "all"]))
    for (limit, single, all) in limits {
      let unit = limit == .memory ? Row.Unit.gigabytes : .operations
      lines.append(layout.line("  " + limit.rawValue, unit.rawValue, [1e-9 * single, 1e-9 * all]))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  var json: String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.write(Machine.processor, "machine")
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

private let layout = TableLayout(nameWidth: 22, unitWidth: 9)

private func gigabytes(_ bytes: Int) -> String { "\(Format.fixed(1e-9 * Double(bytes), 2)) GB" }

extension Samples {
  fileprivate func write(to writer: inout JSONWriter, _ key: String) {
    writer.beginObject(key)
    for (key, value) in summary { writer.write(value, key) }
    writer.endObject()
  }
}
