//! A new migration is a reason to compile: `sqlx::migrate!` reads the folder, and cargo knows only of files that it read.

fn main() {
    println!("cargo:rerun-if-changed=src/store/migrations");
}
