// GPTQTarget.swift -- quantize_config.json, and the fields of the same names in config.json.

import XverseCore
import XverseFormats

extension FuzzTarget {
  static let gptq = FuzzTarget(name: "gptq") { bytes in
    try reading(bytes, multiple: 64, constant: 4096) { allocator in
      let document = try JSONDocument(bytes, source: GPTQParameters.fileName, dialect: .python, allocator: allocator)
      let parameters = try GPTQParameters(JSONFields(document.root))
      try require(parameters.bits == 4 || parameters.bits == 8, "\(parameters.bits) bits")
      try require(parameters.groupSize.map { $0 > 0 } ?? true, "group size \(parameters.groupSize ?? 0)")
    }
  }
}
