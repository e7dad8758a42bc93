"""make.py 1|2 FOLDER: the parts of the sample that need no packaging tool; make.sh calls it."""
import base64, gzip, hashlib, io, json, os, random, struct, sys, tarfile, zipfile

V, OUT = int(sys.argv[1]), sys.argv[2]
TIME = int(os.environ["SOURCE_DATE_EPOCH"])
SHA = lambda b: hashlib.sha256(b).hexdigest()


def write(path, data, executable=False):
    path = os.path.join(OUT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, 0o755 if executable else 0o644)


def elf(machine, code):
    """A static program of one segment (System V ABI): a header, a program header, the code."""
    at, start = 0x400000, 120
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, at + start, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, at, at, start + len(code), start + len(code), 0x1000)
    return head + segment + code


EXIT = {
    "amd64": elf(62, bytes.fromhex("31ff b83c000000 0f05")),  # xor edi,edi; mov eax,60; syscall
    "arm64": elf(183, bytes.fromhex("000080d2 a80b80d2 010000d4")),  # mov x0,#0; mov x8,#93; svc #0
}


def ballast(seed, size):
    """Words that look like a program's strings: they compress as such."""
    r = random.Random(seed)
    words = ["".join(r.choice("etaoinshrdlu") for _ in range(r.randint(3, 9))) for _ in range(400)]
    out = []
    while sum(map(len, out)) < size:
        out.append(" ".join(r.choice(words) for _ in range(60)) + "\n")
    return "".join(out).encode()[:size]


def tar(files):
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, data, mode in files:
            i = tarfile.TarInfo(name)
            i.size, i.mode, i.mtime = len(data), mode, TIME
            t.addfile(i, io.BytesIO(data))
    return buf.getvalue()


def gz(data):
    return gzip.compress(data, 9, mtime=0)


def tgz(files):
    return gz(tar(files))


# ---- files: what kubespray-offline downloads, and its own list of it
def program(name, version):
    return EXIT["amd64"] + name.encode() + b" " + version.encode() + b"\0" + ballast(name, 24_000)


KUBE = f"1.33.{V}"
HOST = "https://downloads.example.org"
kubectl, runsc = program("kubectl", KUBE), program("runsc", "20240101.0")
yq, etcd = program("yq", "4.42.1"), tgz([("etcd-v3.5.25-linux-amd64/etcd", program("etcd", "3.5.25"), 0o755)])
sheet = f"""---
kubectl_checksums:
  amd64:
    {KUBE}: sha256:{SHA(kubectl)}
etcd_binary_checksums:
  amd64:
    3.5.25: sha256:{SHA(etcd)}
yq_checksums:
  amd64:
    4.42.1: sha256:{SHA(yq)}
gvisor_runsc_binary_checksums:
  amd64:
    20240101.0: sha512:{hashlib.sha512(runsc).hexdigest()}
"""
F = "outputs/files/"
write(F + f"kubernetes/v{KUBE}/kubectl", kubectl, True)
write(F + "kubernetes/etcd/etcd-v3.5.25-linux-amd64.tar.gz", etcd)
write(F + "gvisor/20240101.0/x86_64/runsc", runsc, True)
write(F + "yq/v4.42.1amd64/yq_linux_amd64", yq, True)
write(F + "hello.sh", "#!/bin/sh\necho hello from the sample\n", True)
write(F + f"kubespray-0.{V}.tar.gz", tgz([
    (f"kubespray-0.{V}/roles/kubespray_defaults/vars/main/checksums.yml", sheet.encode(), 0o644),
]))
write(F + "files.list", "".join(f"{HOST}/{p}\n" for p in [
    f"release/v{KUBE}/bin/linux/amd64/kubectl",
    "etcd-io/etcd/releases/download/v3.5.25/etcd-v3.5.25-linux-amd64.tar.gz",
    "gvisor/releases/release/20240101.0/x86_64/runsc",
    "mikefarah/yq/releases/download/v4.42.1/yq_linux_amd64",
]))

# ---- images: a layout with two platforms and an attestation, an archive as docker save made it, one as it makes it now
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
CONFIG, LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"


def layers(arch, version):
    """A base that stays from version to version, and the program on it."""
    base = tar([("etc/os-release", b"ID=sample\n", 0o644), ("usr/share/words", ballast("base", 8_000), 0o644)])
    return [base, tar([("app", EXIT[arch] + version.encode(), 0o755)])]


def config(arch, plain):
    return json.dumps({
        "architecture": arch, "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {"Cmd": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + SHA(p) for p in plain]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "sample"} for _ in plain],
    }).encode()


def descriptor(blobs, kind, data, **more):
    blobs["blobs/sha256/" + SHA(data)] = data
    return {"mediaType": kind, "digest": "sha256:" + SHA(data), "size": len(data), **more}


def manifest(blobs, kind, data, layers, **more):
    parts = {"config": descriptor(blobs, kind, data), "layers": [descriptor(blobs, k, d) for k, d in layers]}
    return descriptor(blobs, MANIFEST, json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **parts}).encode(), **more)


def image(blobs, arch, version, **more):
    plain = layers(arch, version)
    return manifest(blobs, CONFIG, config(arch, plain), [(LAYER, gz(p)) for p in plain], **more)


def top(blobs, entry, reference):
    entry["annotations"] = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference.rsplit(":", 1)[1]}
    blobs["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()


def file_name(reference):
    return reference.replace("/", "_").replace(":", "-")


web, job, tool = f"registry.k8s.io/sample/web:1.{V}", f"quay.io/sample/job:1.{V}", "docker.io/library/tool:1.0"
blobs = {}
children = [image(blobs, a, f"web 1.{V}", platform={"architecture": a, "os": "linux"}) for a in ("amd64", "arm64")]
statement = json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "https://example.org/sample"})
plain = statement.encode()
children.append(manifest(
    blobs, CONFIG, json.dumps({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + SHA(plain)]}}).encode(),
    [("application/vnd.in-toto+json", plain)], platform={"architecture": "unknown", "os": "unknown"},
    annotations={"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": children[0]["digest"]},
))
top(blobs, descriptor(blobs, INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode()), web)
for name, data in blobs.items():
    write(f"outputs/images/oci/{file_name(web)}/{name}", data)

plain = layers("amd64", "tool")
docker = {SHA(config("amd64", plain)) + ".json": config("amd64", plain), **{SHA(p) + ".tar": p for p in plain}}
names = list(docker)
docker["manifest.json"] = json.dumps([{"Config": names[0], "RepoTags": [tool], "Layers": names[1:]}]).encode()
write(f"outputs/images/{file_name(tool)}.tar.gz", tgz([(n, d, 0o644) for n, d in docker.items()]))

blobs = {}
entry = image(blobs, "amd64", f"job 1.{V}")
top(blobs, entry, job)
parts = json.loads(blobs["blobs/sha256/" + entry["digest"][7:]])
path = lambda d: "blobs/sha256/" + d["digest"][7:]
blobs["manifest.json"] = json.dumps([{"Config": path(parts["config"]), "RepoTags": [job], "Layers": [path(l) for l in parts["layers"]]}]).encode()
write(f"outputs/images/{file_name(job)}.tar.gz", tgz([(n, d, 0o644) for n, d in sorted(blobs.items())]))
write("outputs/images/images.list", f"{web}\n{job}\n")
write("outputs/images/additional-images.list", "tool:1.0\n")

# ---- pypi: as pypi-mirror leaves it, with links from every project's folder
P = "outputs/pypi/"


def metadata(name, version):
    return (f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: a package of the sample, with <tags> & é\n"
            f"Requires-Python: >=3.8\nLicense: Apache-2.0\n\nA description.\n").encode()


def zipped(files):
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in files:
            i = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            i.external_attr, i.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            z.writestr(i, data)
    return buf.getvalue()


def wheel(name, version, code):
    info = f"{name}-{version}.dist-info/"
    files = [(f"{name}/__init__.py", code), (info + "METADATA", metadata(name.replace("_", "-"), version)),
             (info + "WHEEL", b"Wheel-Version: 1.0\nGenerator: sample\nRoot-Is-Purelib: true\nTag: py3-none-any\n")]
    sums = "".join(f"{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(d).digest()).rstrip(b'=').decode()},{len(d)}\n" for n, d in files)
    return zipped(files + [(info + "RECORD", f"{sums}{info}RECORD,,\n".encode())])


packages = {
    "pouch-sample": (f"pouch_sample-1.{V}-py3-none-any.whl", wheel("pouch_sample", f"1.{V}", f"VERSION = '1.{V}'\n".encode())),
    "pouch-sample-source": ("pouch_sample_source-1.0.tar.gz", tgz([
        ("pouch_sample_source-1.0/PKG-INFO", metadata("pouch-sample-source", "1.0"), 0o644),
        ("pouch_sample_source-1.0/pyproject.toml", b"[project]\nname = 'pouch-sample-source'\nversion = '1.0'\n", 0o644),
        ("pouch_sample_source-1.0/pouch_sample_source.py", b"VERSION = '1.0'\n", 0o644),
    ])),
}
for project, (name, data) in packages.items():
    write(P + "files/" + name, data)
    write(P + project + "/index.html", f'<a href="{name}#sha256={SHA(data)}">{name}</a>\n')
    os.symlink("../files/" + name, os.path.join(OUT, P, project, name))
write(P + "index.html", "".join(f'<a href="{p}/index.html">{p}</a>\n' for p in packages))

# ---- charts
for version in ["0.1.0"] + (["0.2.0+two"] if V == 2 else []):
    chart = (f"apiVersion: v2\nname: sample\nversion: {version}\nappVersion: \"1.{V}\"\ntype: application\n"
             "description: a chart of the sample\nkeywords: [sample]\nmaintainers:\n- name: The Sample\n  email: sample@example.org\n")
    app = "1.1" if version == "0.1.0" else "1.2"
    chart = chart.replace(f'"1.{V}"', f'"{app}"')
    write(f"outputs/charts/sample-{version}.tgz", tgz([
        ("sample/Chart.yaml", chart.encode(), 0o644),
        ("sample/values.yaml", f"image: registry.k8s.io/sample/web:{app}\n".encode(), 0o644),
        ("sample/templates/pod.yaml", b"apiVersion: v1\nkind: Pod\nmetadata:\n  name: sample\nspec:\n  containers:\n  - name: web\n    image: {{ .Values.image }}\n", 0o644),
    ]))

# ---- the kit: scripts and playbooks
write("outputs/config.sh", "REGISTRY_PORT=${REGISTRY_PORT:-35000}\nADDITIONAL_CONTAINER_REGISTRY_LIST=${ADDITIONAL_CONTAINER_REGISTRY_LIST:-\"myregistry.io\"}\n")
write("outputs/setup-all.sh", "#!/bin/sh\n. ./config.sh\necho this would set up a machine\n", True)
write("outputs/playbook/offline-repo.yml", "- hosts: all\n  roles:\n  - offline-repo\n")

# ---- a Go module cache, as `go mod download` leaves it
module, escaped = "example.org/Pouch/sample", "example.org/!pouch/sample"
G = f"go/cache/download/{escaped}/@v/"
versions = ["v1.0.0"] + (["v1.1.0"] if V == 2 else [])
for v in versions:
    mod = f"module {module}\n\ngo 1.20\n".encode()
    files = [(f"{module}@{v}/go.mod", mod), (f"{module}@{v}/sample.go", f"package sample\n\nconst Version = \"{v}\"\n".encode())]
    lines = "".join(f"{SHA(d)}  {n}\n" for n, d in sorted(files))
    write(G + v + ".mod", mod)
    write(G + v + ".info", json.dumps({"Version": v, "Time": "2024-01-01T00:00:00Z"}))
    write(G + v + ".zip", zipped(files))
    write(G + v + ".ziphash", "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode())
    write(G + v + ".lock", b"")
write(G + "list", "".join(v + "\n" for v in versions))

# ---- the packing list of all this
write("pouch.toml", f'''# What `pouch pack pouch.toml` puts into a release of the sample, and where.
stream = "sample"
version = "1.{V}"

[[files]]
from = "outputs/files"

[[images]]
from = ["outputs/images/*.tar.gz", "outputs/images/oci/*"]
lists = "outputs/images/*.list"

[[rpms]]
from = "outputs/rpms/*"

[[debs]]
from = "outputs/debs/*"

[[pypi]]
from = "outputs/pypi"

[[charts]]
from = "outputs/charts"

[[go]]
from = "go/cache/download"

[[kit]]
from = "outputs"
include = ["*.sh", "playbook/**"]
''')
