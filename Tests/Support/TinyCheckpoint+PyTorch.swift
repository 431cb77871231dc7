// TinyCheckpoint+PyTorch.swift -- the same weights as torch.save writes them.

extension TinyCheckpoint {
  /// The file pytorch_model.bin.
  ///
  /// - Parameters:
  ///   - isTransposed: Whether each matrix is a view of its transpose.
  ///   - names: The tensors to write; nil for all.
  package func pytorch(isTransposed: Bool = false, only names: Set<String>? = nil) -> PyTorchFile {
    var file = PyTorchFile()
    for (name, shape, values) in tensors where names?.contains(name) != false {
      let turns = isTransposed && shape.count == 2
      let (rows, columns) = (shape[0], shape.last ?? 1)
      let stored = turns ? (0..<values.count).map { values[$0 % rows * columns + $0 / rows] } : values
      let storage = "\(file.storages.count)"
      file.storages.append((storage, stored.flatMap(bytes(of:))))
      var tensor = PyTorchFile.Tensor(
        name, shape, strides: turns ? [1, rows] : nil, storage: storage, count: values.count)
      tensor.storageType = storageType
      file.tensors.append(tensor)
    }
    return file
  }

  private var storageType: String {
    switch dtype {
    case .float32: "FloatStorage"
    case .float16: "HalfStorage"
    case .bfloat16: "BFloat16Storage"
    }
  }
}
