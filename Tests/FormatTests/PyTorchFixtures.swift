// PyTorchFixtures.swift -- opening files of torch.save that a test has written.

import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

/// Opens a single file with these bytes, called x.bin.
func openPyTorch(_ bytes: [UInt8], _ mode: MappedFile.Mode = .map) throws -> Checkpoint {
  let directory = try TemporaryDirectory()
  return try open(directory.write("x.bin", bytes), mode)
}

func openPyTorch(_ file: PyTorchFile) throws -> Checkpoint { try openPyTorch(file.bytes) }

/// The error of opening `file`.
func refusal(_ file: PyTorchFile) -> XverseError? {
  #expect(throws: XverseError.self) { try openPyTorch(file) }
}

/// The error of opening a file with this pickle in it.
func refusal(pickle write: (inout PickleWriter) -> Void) -> XverseError? {
  var writer = PickleWriter()
  write(&writer)
  writer.add(".")
  return refusal(PyTorchFile(pickle: writer))
}

extension CheckpointTensor {
  /// The elements of a tensor of F32 in their order, strides followed.
  var stridedFloats: [Float] {
    (0..<shape.reduce(1, *)).map { index in
      Float(bitPattern: (data + 4 * place(of: index)).loadUnaligned(as: UInt32.self))
    }
  }
}
