// CheckpointConverterTests.swift -- a model as a directory, which is the same model again.

import Foundation
import TestSupport
import Testing
import XverseCore
import XverseFormats

@testable import XverseModels
@testable import XverseConversion

@Suite("CheckpointConverter")
struct CheckpointConverterTests {
  private let place: TemporaryDirectory
  private var destination: String { place.path + "/new" }

  init() throws { place = try TemporaryDirectory() }

  private func write(
    _ model: XverseModel, from tiny: TinyModel,
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void = { (_, _) throws(XverseError) in }
  ) throws {
    try CheckpointConverter.write(
      model, from: tiny.location, to: OutputDirectory(path: destination), allocator: .system, progress: progress)
  }

  private func bytes(_ path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) }

  @Test("is read again bit for bit", arguments: QuantizationScheme.allCases, [false, true])
  func roundTrips(scheme: QuantizationScheme, isTied: Bool) throws {
    let tiny = try TinyModel { $0.tiesWordEmbeddings = isTied }
    let model = try RoundToNearest.quantized(tiny.model, scheme)

    try write(model, from: tiny)

    #expect(try loadModel(destination).stored == model.stored)
    #expect(try loadModel(destination).matrixTypeName == scheme.rawValue)
  }

  @Test("keeps float weights as they are", arguments: [TinyCheckpoint.DType.float32, .float16, .bfloat16])
  func keepsFloats(dtype: TinyCheckpoint.DType) throws {
    let tiny = try TinyModel { $0.dtype = dtype }

    try write(tiny.model, from: tiny)

    #expect(try loadModel(destination).stored == tiny.model.stored)
    #expect(try bytes(destination + "/config.json") == bytes(tiny.directory.path + "/config.json"))
  }

  @Test(
    "adds the kind of the weights to config.json, whatever stands behind its last member",
    arguments: [("}", "}"), ("}", "\n}\n"), ("}", " \t\r\n } \n\n")])
  func describesWeights(end: String, replacement: String) throws {
    let tiny = try TinyModel()
    let config = try String(decoding: bytes(tiny.directory.path + "/config.json"), as: UTF8.self)
    try tiny.directory.write("config.json", String(config.dropLast(end.count)) + replacement)

    try write(RoundToNearest.quantized(tiny.model, .int4), from: tiny)

    let written = try bytes(destination + "/config.json")
    var object = try #require(try JSONSerialization.jsonObject(with: Data(written)) as? [String: Any])
    let quantization = object.removeValue(forKey: "quantization_config") as? [String: Any]
    let expected: [String: Any] = ["quant_method": "xverse", "type": "int4", "group_size": 32, "layout": 2]
    #expect(NSDictionary(dictionary: quantization ?? [:]) == NSDictionary(dictionary: expected))
    #expect(NSDictionary(dictionary: object) == NSDictionary(dictionary: TinyCheckpoint().configuration))
  }

  @Test("copies the companions that are there, byte for byte, and no other file")
  func copiesCompanions() throws {
    let tiny = try TinyModel()
    try tiny.directory.write("tokenizer_config.json", "{ }")
    try tiny.directory.write("README.md", "not needed")
    try FileManager.default.removeItem(atPath: tiny.directory.path + "/generation_config.json")

    try write(tiny.model, from: tiny)

    let names = try FileManager.default.contentsOfDirectory(atPath: destination).sorted()
    #expect(names == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
    for name in ["tokenizer.json", "tokenizer_config.json"] {
      #expect(try bytes(destination + "/" + name) == bytes(tiny.directory.path + "/" + name))
    }
  }

  @Test("leaves nothing when it is ended")
  func ends() throws {
    let tiny = try TinyModel()

    let error = #expect(throws: XverseError.self) {
      try write(tiny.model, from: tiny) { (done, _) throws(XverseError) in
        if done > 0 { throw XverseError(.cancelled, "stop here") }
      }
    }

    #expect(error?.message == "stop here")
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.path) == [])
  }

  @Test("leaves nothing when a companion cannot be read")
  func failsOnCompanion() throws {
    let tiny = try TinyModel()
    try tiny.directory.write("tokenizer_config.json", "")

    let error = #expect(throws: XverseError.self) { try write(tiny.model, from: tiny) }

    #expect(error?.message.contains("tokenizer_config.json") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.path) == [])
  }
}
