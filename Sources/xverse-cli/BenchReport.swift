// BenchReport.swift -- the figures of a bench as a table for people and as JSON for programs.

import CXverse
import XverseMeasurement

struct BenchReport {
  let bench: Bench
  let work: Workload
  let info: xverse_model_info
  let build: JSON
  let loadSeconds: Double
  let peakMemory: Int
  let anonymousMemory: Int

  private static let layout = TableLayout(nameWidth: 20, unitWidth: 10)

  private struct Row {
    let key: String
    let label: String
    let unit: String
    let samples: Samples
    var share: Samples?
    var shareOf = ""
  }

  private var rows: [Row] {
    let prompt = Double(bench.promptTokens)
    let decoded = Double(bench.decodeTokens)
    let operations = work.operations(prefill: bench.promptTokens)
    let arithmetic = bench.prefill.map { operations / $0 }
    let reading = bench.decode.map { work.bytes(decode: bench.decodeTokens, depth: bench.depth) / $0 }
    return [
      Row(
        key: "prefill_tokens_per_second", label: "prefill \(bench.promptTokens)", unit: "tokens/s",
        samples: bench.prefill.map { prompt / $0 }),
      Row(
        key: "decode_tokens_per_second",
        label: "decode \(bench.decodeTokens)" + (bench.depth > 0 ? " at \(bench.depth)" : ""), unit: "tokens/s",
        samples: bench.decode.map { decoded / $0 }),
      Row(
        key: "prefill_gflops", label: "prefill arithmetic", unit: "GFLOP/s", samples: arithmetic.map { $0 / 1e9 },
        share: arithmetic.asShare(of: bench.sgemm), shareOf: "sgemm"),
      Row(
        key: "decode_gbytes_per_second", label: "decode reads", unit: "GB/s", samples: reading.map { $0 / 1e9 },
        share: reading.asShare(of: bench.bandwidth), shareOf: "memory"),
      Row(key: "sgemm_gflops", label: "OpenBLAS sgemm", unit: "GFLOP/s", samples: bench.sgemm.map { $0 / 1e9 }),
      Row(
        key: "memory_gbytes_per_second", label: "memory reads", unit: "GB/s",
        samples: bench.bandwidth.map { $0 / 1e9 }),
    ]
  }

  private var modelName: String { info.name.map { String(cString: $0) } ?? "" }
  private var weightType: String { info.quant.map { String(cString: $0) } ?? "" }
  private func built(_ key: String) -> String { build[key].stringValue ?? "unknown" }

  var table: String {
    var text = """
      model     \(modelName): \(Format.short(Double(info.n_params) / 1e9)) G parameters, \(weightType), \
      \(Format.bytes(Int(info.weight_bytes))), \(info.n_layers) layers
      machine   \(Machine.processor), \(bench.threads) threads
      library   \(built("version")), commit \(built("commit")), \(built("kernel")) kernels
      load      \(Format.short(loadSeconds)) s
      memory    \(Format.bytes(peakMemory)) at most, mapped files included; \(Format.bytes(anonymousMemory)) of its own

      \(Self.layout.heading(["median", "min", "max"]))

      """
    for row in rows {
      text += Self.layout.line(row.label, row.unit, row.samples, row.share, of: row.shareOf) + "\n"
    }
    return text
  }

  var json: JSON {
    var members: [(key: String, value: JSON)] = [
      ("model", .string(modelName)), ("parameters", .integer(info.n_params)), ("weights", .string(weightType)),
      ("weight_bytes", .integer(info.weight_bytes)), ("machine", .string(Machine.processor)),
      ("threads", .integer(bench.threads)), ("build", build), ("prompt_tokens", .integer(bench.promptTokens)),
      ("decode_tokens", .integer(bench.decodeTokens)), ("depth", .integer(bench.depth)),
      ("repeats", .integer(bench.prefill.values.count)),
      ("load_seconds", .real(loadSeconds)), ("peak_memory_bytes", .integer(peakMemory)),
      ("anonymous_memory_bytes", .integer(anonymousMemory)),
    ]
    for row in rows {
      members.append((row.key, row.samples.json))
      if let share = row.share { members.append((row.key + "_share_of_" + row.shareOf, share.json)) }
    }
    return .object(members)
  }
}

extension Samples {
  fileprivate var json: JSON { .object(summary.map { ($0.key, .real($0.value)) }) }
}
