// InfoCommand.swift -- `xverse info`: the contents of a model by its headers alone, or the facts of this build.

import XverseMeasurement

enum InfoCommand: Command {
  static let specification = CommandSpecification(
    "info",
    summary: "Describe a model, or this build of the library.",
    usages: ["[MODEL] [--json]"],
    details: """
      Lists the sizes, types and files of MODEL. Only headers are read, so this is quick for any size. Without MODEL it \
      lists version, compiler, kernels and threads of the library. With --json the object is that of \
      xverse_model_inspect or xverse_build_info in xverse.h.
      """,
    examples: [
      Example("Describe a model.", "xverse info XVERSE-7B-Chat"),
      Example("Print the version of the library for a script.", "xverse info --json"),
    ],
    operands: [Operand(name: "MODEL", completion: .path, isOptional: true)],
    groups: [OptionGroup(OptionGroup.output, [OptionGroup.json])])

  static func run(_ arguments: Arguments) throws(ToolError) {
    let report: JSON
    if let path = arguments.operands.first {
      report = try Library.inspect(path.path)
    } else {
      report = try Library.buildInfo()
    }
    try StandardOutput.write(arguments.has("json") ? report.text + "\n" : table(report))
  }

  /// A line a member, names left, values right of them; nested objects are indented.
  private static func table(_ report: JSON) -> String {
    let rows = rows(of: report, indent: 0)
    let width = rows.map(\.name.count).max() ?? 0
    return rows.map { row in
      row.value.isEmpty ? row.name + "\n" : "\(Format.padded(row.name, width))   \(row.value)\n"
    }.joined()
  }

  /// - Parameter hasNames: Whether the members are called by names of files or types, not by words.
  private static func rows(
    of value: JSON, indent: Int, hasNames: Bool = false
  ) -> [(name: String, value: String)] {
    guard case .object(let members) = value else { return [] }
    return members.flatMap { member -> [(name: String, value: String)] in
      let words = hasNames ? member.key : labels[member.key] ?? member.key.replacingUnderscores
      let name = String(repeating: "  ", count: indent) + words
      switch member.value {
      case .object:
        return [(name, "")]
          + rows(of: member.value, indent: indent + 1, hasNames: ["dtypes", "files"].contains(member.key))
      default: return [(name, shown(member.value, as: member.key))]
      }
    }
  }

  /// Plain words for the keys that need them.
  private static let labels = [
    "arch": "architecture", "n_params": "parameters", "n_layers": "layers", "n_embd": "hidden size",
    "n_ff": "intermediate size", "n_heads": "heads", "n_kv_heads": "KV heads", "n_vocab": "vocabulary",
    "n_ctx_train": "context", "weight_bytes": "weights", "files": "tensors in files",
  ]

  private static func shown(_ value: JSON, as key: String) -> String {
    switch value {
    case .null: return "-"
    case .bool(let flag): return flag ? "yes" : "no"
    case .string(let text): return text.isEmpty ? "-" : text
    case .array(let elements): return elements.map { shown($0, as: key) }.joined(separator: ", ")
    case .object: return value.text
    case .number(let literal):
      guard let integer = value.integerValue else { return literal }
      if key.hasSuffix("bytes"), integer >= 1024 {
        return "\(Format.bytes(integer)) (\(Format.grouped(integer)) bytes)"
      }
      return integer.magnitude < 1_000_000 ? literal : Format.grouped(integer)
    }
  }
}

extension String {
  fileprivate var replacingUnderscores: String { String(map { $0 == "_" ? " " : $0 }) }
}
