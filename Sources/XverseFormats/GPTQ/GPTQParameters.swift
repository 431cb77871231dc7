// GPTQParameters.swift -- how a GPTQ checkpoint was quantized: quantization_config of config.json, or quantize_config.json
// (AutoGPTQ, GPTQModel).

import XverseCore

/// What the packed tensors of a GPTQ checkpoint need to be read.
package struct GPTQParameters: Sendable, Equatable {
  /// The older place of the fields.
  package static let fileName = "quantize_config.json"
  private static let largestGroup = 1 << 22

  /// 4 or 8.
  package let bits: Int
  /// Inputs that share a scale; nil when all of a row do. With `desc_act` they need not be neighbours.
  package let groupSize: Int?
  /// What the stored zero points lack: 1 in the first version of the layout.
  let zeroOffset: Int

  package init(bits: Int, groupSize: Int?, zeroOffset: Int = 1) {
    self.bits = bits
    self.groupSize = groupSize
    self.zeroOffset = zeroOffset
  }

  /// - Throws: `unsupported` for widths and layouts that are not read, `corrupt`, `limit`.
  package init(_ fields: JSONFields) throws(XverseError) {
    guard let width = try fields.integer("bits", in: 1...64), let value = fields["bits"] else {
      throw fields.missing("bits", expected: "4 or 8")
    }
    guard width == 4 || width == 8 else { throw .unsupported(fields.message("bits", value, expected: "4 or 8")) }
    bits = width
    let expected = "-1 or a number of inputs"
    guard let size = try fields.integer("group_size", in: -1...Self.largestGroup), let value = fields["group_size"]
    else { throw fields.missing("group_size", expected: expected) }
    guard size != 0 else { throw fields.unexpected("group_size", value, expected: expected) }
    groupSize = size == -1 ? nil : size
    zeroOffset = try Self.zeroOffset(fields)
  }

  private static func zeroOffset(_ fields: JSONFields) throws(XverseError) -> Int {
    guard let value = fields["checkpoint_format"], let name = try fields.string("checkpoint_format") else { return 1 }
    switch name {
    case "gptq": return 1
    case "gptq_v2": return 0
    default:
      throw .unsupported(fields.message("checkpoint_format", value, expected: "\"gptq\" or \"gptq_v2\""))
    }
  }

  /// Scales of a row of `columns` inputs.
  func groupCount(columns: Int) -> Int { groupSize.map { (columns + $0 - 1) / $0 } ?? 1 }

  /// Numbers in a word of 32 bits.
  var codesPerWord: Int { 32 / bits }
}
