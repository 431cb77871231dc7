// BadDirectory+GPTQ.swift -- a model with one matrix in GPTQ's layout, and what can be wrong with that.

import CXverse
import TestSupport

extension BadDirectory {
  private static let stem = "model.layers.1.mlp.up_proj"

  /// - Parameters:
  ///   - parameters: quantization_config.
  ///   - group: The group of one column.
  ///   - scale: The bits of one scale, an f16.
  private static func matrix(
    _ name: String, _ status: Int, _ words: String..., parameters: [String: String] = [:], group: Int32 = 0,
    scale: UInt16 = 0x2C00, without missing: String? = nil, biasedBy bias: UInt8 = 0
  ) -> BadDirectory {
    // A group size is compared with the tensors, which inspect does not.
    let isFoundByLoadAlone = parameters.isEmpty || parameters["group_size"] == "16"
    return BadDirectory(
      name: "GPTQ: " + name, status: status, words: words, isFoundByLoadAlone: isFoundByLoadAlone
    ) {
      // 48 rows, 32 columns, one group.
      let indices = [Int32](repeating: 0, count: 31) + [group]
      let scales = [UInt16](repeating: 0x2C00, count: 47) + [scale]
      let file = try SafetensorsFile($0.bytes(of: "model.safetensors")).removing(stem + ".weight")
        .adding(stem + ".qweight", "I32", shape: [4, 48], data: [UInt8](repeating: 0x97, count: 4 * 48 * 4))
        .adding(stem + ".qzeros", "I32", shape: [1, 6], data: [UInt8](repeating: 0x77, count: 6 * 4))
        .adding(stem + ".scales", "F16", shape: [1, 48], data: bytes(scales))
        .adding(stem + ".g_idx", "I32", shape: [32], data: bytes(indices))
        .adding(stem + ".bias", "F16", shape: [48], data: [UInt8](repeating: bias, count: 96))
      try $0.write("model.safetensors", (missing.map { file.removing(stem + $0) } ?? file).bytes)
      var quantization: [String: Any] = ["quant_method": "gptq", "bits": 4, "group_size": 32]
      for (key, value) in parameters { quantization[key] = Int(value) ?? value as Any }
      try $0.edit("config.json", ["quantization_config": quantization])
    }
  }

  private static func bytes<Integer: FixedWidthInteger>(_ values: [Integer]) -> [UInt8] {
    values.flatMap { withUnsafeBytes(of: $0.littleEndian, Array.init) }
  }

  static let gptq: [BadDirectory] = [
    matrix("a good matrix", XVERSE_OK),
    matrix("a group that does not exist", XVERSE_E_CORRUPT, stem + ".g_idx", "group 1 at 31", "0 to 0", group: 1),
    matrix("a negative group", XVERSE_E_CORRUPT, stem + ".g_idx", "group -1 at 31", group: -1),
    matrix("an infinite scale", XVERSE_E_CORRUPT, stem + ".qweight", "scales", "rows 0 to 47", scale: 0x7C00),
    matrix("no scales", XVERSE_E_CORRUPT, stem + ".scales", "missing", without: ".scales"),
    matrix("no zero points", XVERSE_E_CORRUPT, stem + ".qzeros", "missing", without: ".qzeros"),
    matrix("no groups", XVERSE_OK, without: ".g_idx"),
    matrix("no codes", XVERSE_E_CORRUPT, stem + ".weight", "missing", without: ".qweight"),
    matrix("a bias", XVERSE_E_UNSUPPORTED, stem + ".bias", "expected no bias", biasedBy: 1),
    matrix("3 bits", XVERSE_E_UNSUPPORTED, "config.json", "bits", "4 or 8", parameters: ["bits": "3"]),
    matrix("groups of 0", XVERSE_E_CORRUPT, "config.json", "group_size", parameters: ["group_size": "0"]),
    matrix(
      "groups of 16, of which there are too few", XVERSE_E_CORRUPT, stem + ".qzeros", "[2, 6]",
      parameters: ["group_size": "16"]),
    matrix("AWQ", XVERSE_E_UNSUPPORTED, "config.json", "quantization_config", parameters: ["quant_method": "awq"]),
  ]
}
