// WeightsFormat.swift -- the file formats that weights come in.

/// What a file with weights is: its first bytes tell, whatever its name, and where they do not, its name.
package enum WeightsFormat: String, Sendable {
  case safetensors
  case pytorch
  case gguf

  /// The end of the files' names.
  var suffix: String {
    switch self {
    case .safetensors: ".safetensors"
    case .pytorch: ".bin"
    case .gguf: ".gguf"
    }
  }

  /// The file of a directory that holds all weights, and the one that lists its parts; nil where the format has
  /// no such convention.
  var singleName: String? {
    switch self {
    case .safetensors: "model.safetensors"
    case .pytorch: "pytorch_model.bin"
    case .gguf: nil
    }
  }
  var indexName: String? { singleName.map { $0 + ".index.json" } }

  /// The name of a host's GGUF file, whose names cannot be listed.
  static let hostName = "model.gguf"

  /// In the order in which Hugging Face's loader looks for them in a directory.
  static let searchOrder: [WeightsFormat] = [.safetensors, .pytorch, .gguf]

  /// The format of a file called `name`; nil for a name that says nothing.
  init?(fileName name: FilePath) {
    guard let format = Self.searchOrder.first(where: { name.hasSuffix($0.suffix) }) else { return nil }
    self = format
  }
}
