"""The library: catalogue, embeddings and index of GIFs, kept together as a bundle."""

from retrieval.library.bundle import (
    Bundle,
    folder_of,
    manifest_at,
    media_path,
    read_whole,
    verify_bundle,
    version_of,
)
from retrieval.library.catalog import (
    DESCRIBED,
    UNKNOWN_LICENSE,
    Catalog,
    Record,
    is_web_address,
    read_catalog,
)
from retrieval.library.duplicates import SAME_ANIMATION, group
from retrieval.library.embeddings import (
    FrameEmbeddings,
    GifFrames,
    ShardStore,
    gif_means,
    join,
    write_shard,
)
from retrieval.library.faiss_index import VectorIndex, map_vectors
from retrieval.library.index_plan import KINDS, plan_index
from retrieval.library.local_builds import folders_of, register_build
from retrieval.library.manifest import (
    CATALOG,
    DAMAGE,
    DEFAULT_POOLING,
    EMBEDDINGS,
    FORMAT_VERSION,
    MANIFEST,
    MEDIA,
    OLDEST_REUSABLE,
    POOLINGS,
    SIGNALS,
    Manifest,
    build_command,
    check_signals,
    owned_files,
    read_manifest,
)
from retrieval.library.tables import Tables, read_tables
from retrieval.library.writer import BundleWriter

__all__ = [
    "CATALOG",
    "DAMAGE",
    "DEFAULT_POOLING",
    "DESCRIBED",
    "EMBEDDINGS",
    "FORMAT_VERSION",
    "KINDS",
    "MANIFEST",
    "MEDIA",
    "OLDEST_REUSABLE",
    "POOLINGS",
    "SAME_ANIMATION",
    "SIGNALS",
    "UNKNOWN_LICENSE",
    "Bundle",
    "BundleWriter",
    "Catalog",
    "FrameEmbeddings",
    "GifFrames",
    "Manifest",
    "Record",
    "ShardStore",
    "Tables",
    "VectorIndex",
    "build_command",
    "check_signals",
    "folder_of",
    "folders_of",
    "gif_means",
    "group",
    "is_web_address",
    "join",
    "manifest_at",
    "map_vectors",
    "media_path",
    "owned_files",
    "plan_index",
    "read_catalog",
    "read_manifest",
    "read_tables",
    "read_whole",
    "register_build",
    "verify_bundle",
    "version_of",
    "write_shard",
]
