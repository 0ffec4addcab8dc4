class Note < ActiveRecord::Migration[6.1]
  def change
    add_column "@TABLE@", :note, :string, limit: 100
  end
end
